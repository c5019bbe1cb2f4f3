"""What a pipeline has to do for a project, from its plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.errors import WorkflowError
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan import local_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.ci_services import CiServices
    from gpuwheel.model.cells import Cell, Decision

__all__ = ["Asked", "Facts", "Shards", "TestRow", "Work", "check_machines", "work_of"]

_CELLS_PER_JOB = 8
"""Of a machine, unless somebody says how many jobs there are: cells share device code, so that a few take little longer
than one, and `--resume` goes on where a job was ended."""
_BUILDER = MinorVersion(3, 12)
"""The Python of jobs whose wheels any Python can build."""


@dataclass(frozen=True)
class Asked:
    """What a person chose for a pipeline; written into its first line, and read from there."""

    shards: int | None = None
    """Jobs for each machine."""
    branch: str = "main"
    """Whose pushes build, and fill the cache."""
    image: str = ""
    """The base, by digest, of the container image that a tag pushes; "": there is none."""


@dataclass(frozen=True)
class Facts:
    """What of a project's files a pipeline depends on, beside the plan."""

    name: str
    """Of the project."""
    folder: str = "."
    """From the top of the repository."""
    requires_python: str | None = None
    has_tests: bool = False
    """Whether it has a dependency group `test`."""
    launch_tests: tuple[str, ...] = ()
    """Test files that look at launches on the pretend GPU."""
    executable: bool = False
    """Whether its files hold PTX, which the pretend GPU executes."""
    extra: str = ""
    """What a machine with a GPU installs: "[cu13]"."""
    needs_history: bool = False
    """Whether its version is made from what git knows."""
    platform: str = "system"
    """Of `[tool.gpuwheel.wheel]`."""


@dataclass(frozen=True)
class Shards:
    """The jobs that build the wheels of one machine."""

    machine: str
    pattern: str
    """Of their cells; "" where every cell is of this machine."""
    count: int
    pythons: tuple[str, ...]
    """That build them, the one that runs gpuwheel last."""


@dataclass(frozen=True)
class TestRow:
    """A Python and a torch to run the tests of the project with."""

    python: str
    torch: str
    """A requirement; "" where the package does not use torch."""
    wheels: str
    """Of the files that were built, those that serve both."""


@dataclass(frozen=True)
class Work:
    """All that a pipeline does."""

    facts: Facts
    asked: Asked
    version: str
    """Of gpuwheel."""
    shards: tuple[Shards, ...]
    tests: tuple[TestRow, ...]
    untested: bool
    """Whether a wheel for the machine that tests is in no row: there is no Python or torch to test it with."""
    torch_driver: str
    """The CUDA version that the newest torch is built for, with which launches are tested: "13.0"."""
    modes: frozenset[Mode]
    publishable: bool
    """Whether PyPI takes the wheels: it has no local versions, by which wheels for several torches differ."""
    manual: tuple[MinorVersion, ...]
    """CUDA toolkits that no package index has: somebody has to install them."""

    @property
    def test_machine(self) -> str:
        """The architecture on which tests run."""
        machines = [shards.machine for shards in self.shards]
        return "x86_64" if "x86_64" in machines else machines[0]

    def trial(self, machine: str) -> str:
        """How `gpuwheel build` tries wheels: not at all where a job of tests does more."""
        tested = self.tests and not self.untested and machine == self.test_machine
        return "none" if tested else "smoke"

    @property
    def usual(self) -> TestRow:
        """What is tested where one environment has to do: the Python that builds, with its newest torch."""
        builder = [row for row in self.tests if row.python == self.shards[0].pythons[-1]]
        return (builder or list(self.tests) or [TestRow(str(_BUILDER), "torch", "dist/*.whl")])[-1]


def work_of(decisions: Sequence[Decision], facts: Facts, asked: Asked, tables: Tables, *, version: str) -> Work:
    """What there is to do.

    Args:
        decisions: the whole plan.
        facts: about the project.
        asked: by a person.
        tables: which Pythons each torch has wheels for.
        version: of gpuwheel.

    Raises:
        WorkflowError: there is nothing to build.
        PlanError: two cells would write one file.
    """
    cells, labels = [decision.cell for decision in decisions if decision.accepted], local_labels(decisions)
    if not cells:
        msg = f"{facts.name} has no wheel that a pipeline could build (found {len(decisions)} rejected candidates)"
        raise WorkflowError(msg, hint="gpuwheel plan says why")
    newest = max(tables.torch)
    nvcc = {cell.cuda for cell in cells if cell.mode is Mode.NVCC}
    own = [cell for cell in cells if cell.machine in {None, "x86_64"}] or cells
    pairs = {cell.identifier: _pairs(cell, tables, SpecifierSet(facts.requires_python or "")) for cell in own}
    return Work(
        facts=facts,
        asked=asked,
        version=version,
        shards=tuple(_shards(cells, asked)),
        tests=tuple(_rows(own, labels, pairs)) if facts.has_tests else (),
        untested=not all(pairs.values()),
        torch_driver=f"{tables.torch[newest].cuda.major}.0",
        modes=frozenset(cell.mode for cell in cells),
        publishable=not any(labels.values()),
        manual=tuple(sorted(cuda for cuda in nvcc if not tables.cuda[cuda].nvcc)),
    )


def check_machines(work: Work, services: CiServices, service: str) -> None:
    """Refuse what no machine of the service builds.

    Raises:
        WorkflowError: it has none of an architecture.
    """
    runners = services.runners[service]
    for shards in work.shards:
        if shards.machine not in runners:
            msg = f"{service} has no machine for {shards.machine} that gpuwheel knows (known are {', '.join(runners)})"
            raise WorkflowError(msg, hint='machines = ["x86_64"] in [tool.gpuwheel]')


def _shards(cells: Sequence[Cell], asked: Asked) -> Iterable[Shards]:
    by_machine: dict[str | None, list[Cell]] = {}
    for cell in cells:
        by_machine.setdefault(cell.machine, []).append(cell)
    for machine, own in by_machine.items():
        pattern = "" if len(by_machine) == 1 else f"*-{'any' if machine is None else f'linux_{machine}'}"
        count = min(asked.shards or -(-len(own) // _CELLS_PER_JOB), len(own))
        yield Shards(machine or "x86_64", pattern, count, _builders(own))


def _builders(cells: Iterable[Cell]) -> tuple[str, ...]:
    """The Pythons that build; the last is the one that runs gpuwheel, and is new enough for what gpuwheel needs."""
    exact = {cell.python for cell in cells if cell.python is not None and cell.python_abi is PythonAbi.VERSION}
    return (*(str(python) for python in sorted(exact - {_BUILDER})), str(_BUILDER))


def _rows(
    own: Sequence[Cell],
    labels: Mapping[str, str | None],
    pairs: Mapping[str, set[tuple[MinorVersion | None, MinorVersion]]],
) -> Iterable[TestRow]:
    """Of each wheel: the oldest torch with its oldest Python, and every Python with its newest torch."""
    rows = [(python, torch or MinorVersion(0, 0), cell) for cell in own for torch, python in pairs[cell.identifier]]
    for python, torch, cell in sorted(rows, key=lambda row: (row[0], row[1], row[2].cuda, row[2].identifier)):
        label = labels[cell.identifier]
        named = f"+{label}-{cell.python_tag}-*" if label else f"-{cell.python_tag}-*" if len(own) > 1 else ""
        requirement = "" if cell.torch is TorchAbi.NONE else f"torch=={torch}.*"
        yield TestRow(str(python), requirement, f"dist/*{named}.whl")


def _pairs(cell: Cell, tables: Tables, admitted: SpecifierSet) -> set[tuple[MinorVersion | None, MinorVersion]]:
    served = [version for version in sorted(tables.torch) if cell.torch_range is None or _serves(cell, version)]
    pythons: Mapping[MinorVersion, list[MinorVersion]] = {
        torch: [python for python in _pythons(tables, torch) if _runs(cell, python) and python.is_admitted_by(admitted)]
        for torch in served
    }
    pythons = {torch: found for torch, found in pythons.items() if found}
    if not pythons:
        return set()
    every = sorted({python for found in pythons.values() for python in found})
    if cell.torch is TorchAbi.NONE:
        return {(None, python) for python in every}
    oldest = min(pythons)
    newest = {(max(torch for torch, found in pythons.items() if python in found), python) for python in every}
    return newest | {(oldest, pythons[oldest][0])}


def _serves(cell: Cell, torch: MinorVersion) -> bool:
    return torch == cell.torch_floor if cell.torch is TorchAbi.EXACT else torch >= cell.torch_floor


def _pythons(tables: Tables, torch: MinorVersion) -> list[MinorVersion]:
    """Those that torch has wheels for; free-threaded builds are not tested."""
    return sorted(MinorVersion.parse(text) for text in tables.torch[torch].pythons if not text.endswith("t"))


def _runs(cell: Cell, python: MinorVersion) -> bool:
    if cell.python is None or cell.python_abi is PythonAbi.NONE:
        return True
    return python == cell.python if cell.python_abi is PythonAbi.VERSION else python >= cell.python
