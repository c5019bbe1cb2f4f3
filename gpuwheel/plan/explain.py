"""A plan in words, and the cell that one build takes from it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.errors import PlanError
from gpuwheel.model.choices import PythonAbi
from gpuwheel.plan.checks import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.model.cells import Cell, CellName, Coverage, Decision
    from gpuwheel.model.reporter import Reporter

__all__ = ["Here", "choose", "collapsed_lines", "explain", "rejection", "select", "served_by"]

_NOTHING = "nothing"


def explain(decisions: Sequence[Decision]) -> str:
    """One block per candidate: verdict and reason, which image serves which compute capability, notes."""
    return "\n".join(line for decision in decisions for line in _block(decision))


@dataclass(frozen=True)
class Here:
    """What builds: it makes one cell of several."""

    python: str
    """For example "3.11", "3.14t" (free-threaded) or "pypy3.11"."""
    machine: str
    """CPU architecture that the C++ compiler is for."""

    def makes(self, cell: Cell) -> bool:
        """Whether a build by this Python and this C++ compiler can be of `cell`."""
        # The headers are those of the Python that runs; any of them serves for the limited API of an older one.
        own = cell.python_abi is not PythonAbi.VERSION or str(cell.python) == self.python
        return own and cell.machine in {None, self.machine}

    def __str__(self) -> str:
        return f"Python {self.python} and C++ for {self.machine}"


def choose(
    decisions: Sequence[Decision], reporter: Reporter, here: Here | None = None, only: CellName | None = None
) -> Cell:
    """The cell that a build makes, of which a build frontend wants one; its notes go to the reporter.

    Args:
        decisions: the whole plan.
        reporter: hears what the other wheels are, and what may surprise.
        here: what builds; unset, it makes any.
        only: the cell to build; unset, the first accepted one that `here` makes.

    Raises:
        PlanError: every candidate is rejected, `here` makes none of the others, or `only` is none of them; with
            several, `detail` is the whole plan.
    """
    named = decisions if only is None else [select(decisions, only)]
    # A frontend asks for one wheel and takes one (PEP 517): of several, the one that can be made here.
    made = [decision for decision in named if here is None or here.makes(decision.cell)]
    accepted = [decision for decision in made if decision.accepted]
    if not accepted:
        raise _nothing_to_build(named, made, here)
    chosen = accepted[0]
    if only is None:
        _name_others(chosen, [decision for decision in decisions if decision.accepted], accepted, reporter)
    for note in chosen.notes:
        reporter.info(note)
    unserved = served_by(chosen.coverage).get(_NOTHING)
    if unserved:
        reporter.warn(f"no image serves compute capability {', '.join(unserved)}: add them or a +PTX to archs")
    return chosen.cell


def select(decisions: Sequence[Decision], only: CellName) -> Decision:
    """The candidate of that name.

    Raises:
        PlanError: there is none.
    """
    found = next((decision for decision in decisions if decision.cell.name == only), None)
    if found is None:
        names = [decision.cell.identifier for decision in decisions]
        close = difflib.get_close_matches(str(only), names, n=1)
        msg = f"only names no wheel of this project (found {str(only)!r}, expected {listed(names)})"
        raise PlanError(msg, hint=f"did you mean {close[0]!r}?" if close else "gpuwheel plan lists them")
    return found


def _name_others(chosen: Decision, every: Sequence[Decision], makable: Sequence[Decision], reporter: Reporter) -> None:
    """Which wheels a build of one leaves out: those that this machine makes too, and those that it does not."""
    head = f"building {chosen.cell.identifier} of {len(every)} wheels"
    here = [decision.cell.identifier for decision in makable if decision is not chosen]
    if here:
        reporter.warn(f"{head}; the others: {', '.join(f'-C gpuwheel.only={name}' for name in here)}")
    elsewhere = [decision.cell.identifier for decision in every if decision not in makable]
    if elsewhere:
        reporter.info(f"{head}; by another Python, or for another machine: {listed(elsewhere)}")


def _nothing_to_build(named: Sequence[Decision], made: Sequence[Decision], here: Here | None) -> PlanError:
    elsewhere = [decision.cell for decision in named if decision.accepted]
    if elsewhere and here is not None:
        names = listed(cell.identifier for cell in elsewhere)
        machines = sorted({str(cell.machine) for cell in elsewhere if cell.machine})
        pythons = sorted({str(cell.python) for cell in elsewhere if cell.python_abi is PythonAbi.VERSION})
        hint = f"build with Python {listed(pythons)}"
        if machines and here.machine not in machines:
            hint = f"set CXX to a compiler for {listed(machines)}, or build on such a machine"
        # A cell of its own that is rejected says more than that there is none.
        why = next((f"{decision.reason}; " for decision in made if not decision.accepted), "")
        return PlanError(f"{here} make no wheel of this project ({why}expected what makes {names})", hint=hint)
    return rejection(made if len(made) == 1 else named)


def rejection(rejected: Sequence[Decision]) -> PlanError:
    """What to raise where none of these candidates is accepted; of several, `detail` says all that is wrong."""
    if len(rejected) == 1:
        return PlanError(f"{rejected[0].cell.identifier} cannot be built: {rejected[0].reason}", hint=rejected[0].hint)
    first = next((decision.hint for decision in rejected if decision.hint), None)
    return PlanError(f"none of {len(rejected)} candidates can be built", hint=first, detail=explain(rejected))


def _block(decision: Decision) -> Iterator[str]:
    yield f"{decision.cell.identifier}  {'build' if decision.accepted else 'reject'}: {decision.reason}"
    rows = served_by(decision.coverage)
    width = max(map(len, rows), default=0)
    for image, devices in rows.items():
        yield f"  {image:<{width}}  {' '.join(devices)}"
    yield from (f"  {line}" for line in collapsed_lines(decision))
    for note in decision.notes:
        yield f"  note: {note}"
    if decision.hint:
        yield f"  hint: {decision.hint}"


def collapsed_lines(decision: Decision) -> Iterator[str]:
    """Axes of which the project names more values than it needs wheels for."""
    for axis in decision.collapsed:
        if axis.values:
            yield f"one for all: {axis.axis} {listed(axis.values)} has no wheel of its own: {axis.reason}"


def served_by(coverage: Sequence[Coverage]) -> dict[str, list[str]]:
    """Image -> the compute capabilities it serves, in the order of the devices; what nothing serves comes last."""
    rows: dict[str, list[str]] = {}
    for row in sorted(coverage, key=lambda row: (row.served_by is None, row.device)):
        rows.setdefault(row.served_by or _NOTHING, []).append(str(row.device))
    return rows
