"""`[tool.cibuildwheel]` from a plan.

cibuildwheel makes one wheel for each Python, and none where an earlier one serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.errors import WorkflowError
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.workflows.steps import PUBLIC_TORCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.ci_services import CiServices
    from gpuwheel.model.cells import Cell, Decision
    from gpuwheel.workflows.work import Work

__all__ = ["OWNED", "REPAIR_COMMAND", "cibuildwheel_settings"]

REPAIR_COMMAND = "gpuwheel repair -w {dest_dir} {wheel}"
"""For what auditwheel would do: it knows what torch and CUDA's packages bring, and copies none of that."""
_DEFAULT_PLATFORM = "manylinux_2_28"
_SKIPPED = ("*-musllinux_*", "cp3??t-*", "pp*", "gp*")
"""What torch has no wheels for, or, for free-threaded Pythons, what gpuwheel makes none for."""

OWNED = (
    "build",
    "skip",
    "archs",
    "manylinux-x86_64-image",
    "manylinux-aarch64-image",
    "before-build",
    "repair-wheel-command",
    "before-test",
    "test-groups",
    "test-command",
)
"""Keys that gpuwheel writes, in their order; others in the table are somebody else's."""


def cibuildwheel_settings(
    decisions: Sequence[Decision], work: Work, tables: Tables, services: CiServices, *, package: str
) -> dict[str, object]:
    """Key of `[tool.cibuildwheel]` -> value.

    Args:
        decisions: the whole plan.
        work: what a pipeline would do, for the Pythons to test with.
        tables: which toolkits the index has nvcc of.
        services: images.
        package: to import, where the project has no tests.

    Raises:
        WorkflowError: cibuildwheel does not make these wheels.
    """
    cells = [decision.cell for decision in decisions if decision.accepted]
    _refuse_several(cells)
    machines = sorted({cell.machine for cell in cells if cell.machine}, reverse=True)
    pythons = sorted({row.python for row in work.tests}) if work.tests else _pythons(cells, tables)
    platform = work.facts.platform if work.facts.platform in services.images else _DEFAULT_PLATFORM
    images = {f"manylinux-{machine}-image": _image(cells, tables, services, platform, machine) for machine in machines}
    torch = _torch(cells)
    tested = work.facts.has_tests
    values: dict[str, object] = {
        "build": [f"cp{python.replace('.', '')}-manylinux_{machine}" for machine in machines for python in pythons],
        "skip": list(_SKIPPED),
        "archs": ["auto64"],
        **images,
        "before-build": f'python -m pip install "gpuwheel[repair]=={work.version}"',
        "repair-wheel-command": REPAIR_COMMAND,
        **({"before-test": f"python -m pip install {torch} --index-url {PUBLIC_TORCH}"} if torch else {}),
        **({"test-groups": ["test"]} if tested else {}),
        "test-command": "cd {project} && pytest" if tested else f'python -c "import {package}"',
    }
    return {key: values[key] for key in OWNED if key in values}


def _refuse_several(cells: Sequence[Cell]) -> None:
    if not all(cell.machine for cell in cells):
        msg = "wheels of this project hold no machine code (cibuildwheel refuses py3-none-any)"
        raise WorkflowError(msg, hint="any machine and any frontend builds them: pip wheel .")
    names = [(cell.python, cell.machine) for cell in cells]
    if len(set(names)) < len(names):
        torches, cudas = ({getattr(cell, axis) for cell in cells} for axis in ("torch_floor", "cuda"))
        axis = "torch" if len(torches) > 1 else "CUDA" if len(cudas) > 1 else "mode"
        msg = f"wheels of this project differ by {axis} (cibuildwheel makes one for each Python and machine)"
        raise WorkflowError(msg, hint="gpuwheel build makes all of them, and gpuwheel ci github does so in CI")


def _pythons(cells: Sequence[Cell], tables: Tables) -> list[str]:
    """Those that build, where nothing is tested: one is enough for a wheel that serves several."""
    exact = [cell.python for cell in cells if cell.python is not None and cell.python_abi is PythonAbi.VERSION]
    limited = [cell.python for cell in cells if cell.python is not None and cell.python_abi is PythonAbi.ABI3]
    newest = tables.torch[max(tables.torch)].pythons
    plain = [text for text in newest if not text.endswith("t")][:1]
    return sorted({str(python) for python in exact or limited}) or plain


def _torch(cells: Sequence[Cell]) -> str:
    """What is installed before the wheel, so that its own requirement does not bring CUDA's libraries for a test."""
    cell = cells[0]
    return "" if cell.torch is TorchAbi.NONE else f'"torch{cell.torch_range}"'


def _image(cells: Sequence[Cell], tables: Tables, services: CiServices, platform: str, machine: str) -> str:
    """Cibuildwheel's own image, which it names by digest; one with CUDA for nvcc that no index has.

    Raises:
        WorkflowError: there is no such image.
    """
    wanted = [cell.cuda for cell in cells if cell.mode is Mode.NVCC and not tables.cuda[cell.cuda].nvcc]
    if not wanted:
        return platform
    images = services.cuda_images.get(wanted[0], {})
    if platform not in images or machine not in images[platform].references:
        known = ", ".join(map(str, services.cuda_images))
        msg = f"no image of {platform} for {machine} has nvcc of CUDA {wanted[0]} (there are images with {known})"
        raise WorkflowError(msg, hint=f"another toolkit, of {known}, or one that the index has: gpuwheel plan --json")
    return images[platform].references[machine]
