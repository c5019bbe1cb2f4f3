"""A plan in words, and the cell that one build takes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.model.cells import Cell, Coverage, Decision
    from gpuwheel.model.reporter import Reporter

__all__ = ["choose", "explain"]

_NOTHING = "nothing"


def explain(decisions: Sequence[Decision]) -> str:
    """One block per candidate: verdict and reason, which image serves which compute capability, notes."""
    return "\n".join(line for decision in decisions for line in _block(decision))


def choose(decisions: Sequence[Decision], reporter: Reporter) -> Cell:
    """The first accepted cell, which a build frontend that wants one wheel gets; its notes go to the reporter.

    Raises:
        PlanError: every candidate is rejected; with several, `detail` is the whole plan.
    """
    accepted = next((decision for decision in decisions if decision.accepted), None)
    if accepted is None:
        raise _nothing_to_build(decisions)
    others = [decision.cell for decision in decisions if decision.accepted and decision is not accepted]
    if others:
        listed = ", ".join(f"-C gpuwheel.cuda={cell.cuda}" for cell in others)
        reporter.warn(f"building {accepted.cell.identifier} of {len(others) + 1} wheels; the others: {listed}")
    for note in accepted.notes:
        reporter.info(note)
    unserved = _served_by(accepted.coverage).get(_NOTHING)
    if unserved:
        reporter.warn(f"no image serves compute capability {', '.join(unserved)}: add them or a +PTX to archs")
    return accepted.cell


def _nothing_to_build(decisions: Sequence[Decision]) -> PlanError:
    if len(decisions) == 1:
        return PlanError(
            f"{decisions[0].cell.identifier} cannot be built: {decisions[0].reason}", hint=decisions[0].hint
        )
    hint = next((decision.hint for decision in decisions if decision.hint), None)
    return PlanError(f"none of {len(decisions)} candidates can be built", hint=hint, detail=explain(decisions))


def _block(decision: Decision) -> Iterator[str]:
    yield f"{decision.cell.identifier}  {'build' if decision.accepted else 'reject'}: {decision.reason}"
    rows = _served_by(decision.coverage)
    width = max(map(len, rows), default=0)
    for image, devices in rows.items():
        yield f"  {image:<{width}}  {' '.join(devices)}"
    for note in decision.notes:
        yield f"  note: {note}"
    if decision.hint:
        yield f"  hint: {decision.hint}"


def _served_by(coverage: Sequence[Coverage]) -> dict[str, list[str]]:
    """Image -> the compute capabilities it serves, in the order of the devices; what nothing serves comes last."""
    rows: dict[str, list[str]] = {}
    for row in sorted(coverage, key=lambda row: (row.served_by is None, row.device)):
        rows.setdefault(row.served_by or _NOTHING, []).append(str(row.device))
    return rows
