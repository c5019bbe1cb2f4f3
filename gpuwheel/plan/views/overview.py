"""A plan with everything that is told of it: names of files, what would collapse it, what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.choices import PythonAbi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.cells import Cell, Decision
    from gpuwheel.model.libraries import Survey
    from gpuwheel.plan.against_next import NextChange
    from gpuwheel.plan.collapse import Gain
    from gpuwheel.plan.views.deciding import Row
    from gpuwheel.plan.views.forecast import Forecast

__all__ = ["CellFacts", "Overview", "Policy", "free_threaded", "shown_python"]


@dataclass(frozen=True)
class CellFacts:
    """What is told of one cell beside its verdict."""

    decision: Decision
    file: str | None
    """The wheel's name; `*` stands for what only the build decides. `None`: the cell is rejected."""
    local: str | None
    """Local part of its version, which tells it from others."""
    torch: str | None
    """What the wheel asks of torch: as the project states it, else as gpuwheel writes it."""
    requires: tuple[str, ...]
    """Requires-Dist that the wheel will state (PEP 508)."""
    platform_tag: str | None
    """The last part of the wheel's name; `None` where what is linked decides."""
    rows: tuple[Row, ...]
    """What of the tables decided."""
    narrow: tuple[str, ...]
    """Lines that tie it to one torch or one Python, each with what it includes."""

    @property
    def cell(self) -> Cell:
        """The cell itself."""
        return self.decision.cell


@dataclass(frozen=True)
class Policy:
    """What a policy for versions became."""

    key: str
    """"torch"."""
    policy: str
    """"last 3 minors"."""
    values: tuple[str, ...]
    """"==2.13.*" and so on."""


@dataclass(frozen=True)
class Overview:
    """A plan as people and programs read it."""

    name: str
    version: str | None
    """Of the project; `None`: dynamic."""
    requires_python: str | None
    cells: tuple[CellFacts, ...]
    """In the order of the configuration."""
    gains: tuple[Gain, ...] = ()
    """What would make fewer wheels."""
    surveys: tuple[Survey, ...] = ()
    """What keeps extensions on torch's C++ ABI from `abi = "compat"`."""
    free_threaded: tuple[str, ...] = ()
    """Free-threaded Pythons that torch has wheels for and the project makes none for: "3.14t"."""
    policies: tuple[Policy, ...] = ()
    """Keys of which a policy chose the versions."""
    forecast: Forecast | None = None
    """What building it takes; `None`: nobody looked."""
    next_changes: tuple[NextChange, ...] = ()
    """What releases that do not exist yet would change, where that is asked."""

    @property
    def accepted(self) -> tuple[CellFacts, ...]:
        """Those that are built."""
        return tuple(one for one in self.cells if one.decision.accepted)


def shown_python(cell: Cell) -> str:
    """Which Pythons load the wheel: "3.12", "3.10+", "any"."""
    if cell.python is None:
        return "any"
    return f"{cell.python}+" if cell.python_abi is PythonAbi.ABI3 else str(cell.python)


def free_threaded(cells: Iterable[Cell], tables: Tables) -> tuple[str, ...]:
    """Free-threaded builds of Python that a torch of the project has wheels for, and none of its wheels serves.

    A module is compiled for one build of Python, and gpuwheel compiles for the usual ones; what torch or ctypes loads
    as a library serves both.
    """
    modules = [cell for cell in cells if cell.python_abi is not PythonAbi.NONE]
    found = {
        python
        for cell in modules
        for row in tables.torch.values()
        if cell.torch_range is None or cell.torch_range.contains(row.release)
        for python in row.pythons
        if python.endswith("t")
    }
    return tuple(sorted(found, key=lambda text: tuple(map(int, text.rstrip("t").split(".")))))
