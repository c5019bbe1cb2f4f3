"""What rejects a cell of mode `nvcc`, and what is to be said of an accepted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.model.archs import Arch, ArchTarget, machine_code
from gpuwheel.model.choices import PythonAbi, TorchAbi
from gpuwheel.plan.checks import Problem, arch_lists

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import Extension, LoadedConfig
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.libraries import NarrowLine

__all__ = ["linked_requirements", "mode_problems", "nvcc_notes", "nvcc_problems"]

# pybind11 reads inside of type objects, which the limited API hides; nanobind has a way to do without.
_NO_LIMITED_API = "pybind11/"
_RUNTIME = "nvidia-cuda-runtime"
_SHOWN = 3
"""Lines of an extension that notes name; the others are counted."""


def nvcc_problems(cell: Cell, config: LoadedConfig, tables: Tables) -> tuple[Problem, ...]:
    """Everything that rejects the cell, beside what rejects a cell of any mode."""
    return (*_promises(config), *_uncovered(config), *_exact_torch(cell, tables), *_linked_code(config))


def nvcc_notes(cell: Cell, config: LoadedConfig, tables: Tables) -> tuple[str, ...]:
    """Where the toolkit has to come from, and which lines make the wheel narrow."""
    return (*_toolkit(cell, tables), *_one_code(config), *_narrowness(cell, config), *_doubtful(config))


def linked_requirements(cell: Cell, names: Collection[str], tables: Tables) -> tuple[str, ...]:
    """Packages that hold libraries of the cell's CUDA toolkit, by their names after `-l`."""
    toolkit = tables.cuda[cell.cuda]
    linked = [pin.run_time_requirement for pin in toolkit.libraries if set(names) & dict(pin.sonames).keys()]
    runtime = [pin for pin in toolkit.nvcc if pin.name == _RUNTIME] if "cudart" in names else []
    return (*linked, *(pin.run_time_requirement for pin in runtime))


def mode_problems(config: LoadedConfig) -> Iterator[Problem]:
    """Whatever the cell: it would hold the extensions of its own mode, and lack the others in silence."""
    modes = sorted({extension.mode.value for extension in config.settings.extensions.values()})
    if len(modes) > 1:
        yield Problem(
            f"extensions of modes {' and '.join(modes)} are in one wheel, which has one toolkit and one driver floor",
            "give all of them one mode, or split the project",
        )


def _promises(config: LoadedConfig) -> Iterator[Problem]:
    """A source that includes what its extension says it does without."""
    # Below an #if, who knows: only the preprocessor could tell, and a wrong refusal cannot be worked around.
    for line in (line for line in config.narrow if not line.conditional):
        extension = config.settings.extensions[line.extension]
        problem = _broken_promise(line, extension)
        if problem is not None:
            yield problem


def _broken_promise(line: NarrowLine, extension: Extension) -> Problem | None:
    # Its headers stand in for both, but for those that its survey refuses.
    if extension.abi is TorchAbi.COMPAT:
        return None
    subject = f"{line.place} includes {line.header}"
    table = f'[tool.gpuwheel.extensions."{line.extension}"]'
    if line.torch and extension.abi is TorchAbi.STABLE:
        return Problem(
            f"{subject} of torch's C++ ABI, and {line.extension} is for every torch",
            f'include torch/csrc/stable instead, or set abi = "exact" in {table}',
        )
    if line.torch and extension.abi is TorchAbi.NONE:
        return Problem(f"{subject}, and {line.extension} does without torch", f'set abi = "exact" in {table}')
    if line.python and not line.torch and extension.python is PythonAbi.NONE:
        return Problem(f"{subject}, and {line.extension} is for every Python", f'set python = "version" in {table}')
    if line.header.startswith(_NO_LIMITED_API) and extension.python is PythonAbi.ABI3:
        return Problem(f"{subject}, which does not compile in the limited API", f'set python = "version" in {table}')
    return None


def _uncovered(config: LoadedConfig) -> Iterator[Problem]:
    """A source that uses what no header of `abi = "compat"` stands in for, whatever conditions hold."""
    for survey in config.surveys:
        lines = survey.certain
        if lines:
            first, more = lines[0], len(lines) - 1
            others = f" and {more} more line{'s' if more > 1 else ''}" if more else ""
            exact = f'abi = "exact" in [tool.gpuwheel.extensions."{survey.extension}"]'
            yield Problem(
                f'{first.place}{others} uses {first.uses}, which abi = "compat" does not cover ({first.why})',
                f"{first.edit}; or set {exact}" if first.edit else f"set {exact}",
            )


def _doubtful(config: LoadedConfig) -> Iterator[str]:
    """Lines of which only the compiler knows whether the headers of `abi = "compat"` take them."""
    for survey in config.surveys:
        lines = [line for line in survey.lines if line not in survey.certain]
        yield from (f"{line.text}; the compiler decides" for line in lines[:_SHOWN])
        if len(lines) > _SHOWN:
            yield f"{survey.extension} has {len(lines) - _SHOWN} more lines of which the compiler decides"


def _exact_torch(cell: Cell, tables: Tables) -> Iterator[Problem]:
    if cell.torch is not TorchAbi.EXACT:
        return
    build = tables.torch.get(cell.torch_floor)
    machine = cell.machine or ""
    pinned = [version for version, row in tables.torch.items() if machine in row.headers]
    if build is None or machine not in build.headers:
        known = ", ".join(map(str, pinned)) or "none"
        yield Problem(
            f"torch {cell.torch_floor} is not one whose headers for {machine} gpuwheel pins ({known})",
            f'torch = "=={pinned[-1]}.*"' if pinned else None,
        )
        return
    # Minors of one major share SONAMEs and a process (CUDA Compatibility, "Minor Version Compatibility"); two majors
    # would put two of each library into it.
    if build.cuda.major != cell.cuda.major:
        fits = next((row.version for row in tables.cuda.values() if row.version.major == build.cuda.major), None)
        yield Problem(
            f"torch {cell.torch_floor} has CUDA {build.cuda}, of another major than the project's {cell.cuda}",
            f'cuda = "{build.cuda}"' if fits else None,
        )


def _linked_code(config: LoadedConfig) -> Iterator[Problem]:
    """Relocatable code of all sources is linked at once, where a family's and plain code exclude each other."""
    relocatable = [name for name, extension in config.settings.extensions.items() if extension.rdc]
    if not relocatable or config.settings.cmake is not None:
        return
    lists = arch_lists(config.settings)
    # nvlink sees the device code of all sources at once, so what they are compiled for is looked at together.
    made = frozenset[Arch]().union(*map(machine_code, lists.values()))
    for arch in sorted(made - machine_code(map(ArchTarget, made))):
        where = [key for key, targets in lists.items() if arch in machine_code(targets)]
        yield Problem(
            f"{', '.join(where)} names {arch} and other sources {arch}f, and rdc links the device code of all of them",
            f"name {arch}f or {arch} for all sources of {relocatable[0]}, or set rdc = false",
        )


def _one_code(config: LoadedConfig) -> Iterator[str]:
    """What is not compiled because a family's code serves the same GPUs."""
    for key, targets in arch_lists(config.settings).items():
        made = machine_code(targets)
        for target in targets:
            if target.arch not in made:
                left = "no code but PTX" if target.ptx else "no code"
                yield f"{key}: {left} for {target.arch}: nvcc makes one, and {target.arch}f runs on the same GPUs"


def _toolkit(cell: Cell, tables: Tables) -> Iterator[str]:
    toolkit = tables.cuda[cell.cuda]
    if not toolkit.nvcc:
        pinned = ", ".join(str(row.version) for row in tables.cuda.values() if row.nvcc)
        yield f"nvcc of cuda {cell.cuda} has to be on the machine that builds (gpuwheel brings {pinned})"


def _narrowness(cell: Cell, config: LoadedConfig) -> Iterator[str]:
    torch = next((line for line in config.narrow if line.torch), None)
    if torch is not None and cell.torch is TorchAbi.EXACT:
        yield f"{torch.place} includes {torch.header}: one wheel for each torch minor"
    python = next((line for line in config.narrow if line.python), None)
    if python is not None and cell.python is not None:
        each = "one wheel for each Python" if cell.python_abi is PythonAbi.VERSION else "no wheel for older Pythons"
        yield f"{python.place} includes {python.header}: {each}"
