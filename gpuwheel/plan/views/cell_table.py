"""The table of a plan: one row a cell, what all have in common once above it, reasons and savings below. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode
from gpuwheel.plan.as_they_are import survey_lines
from gpuwheel.plan.checks import listed
from gpuwheel.plan.explain import collapsed_lines, explain
from gpuwheel.plan.views.overview import shown_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.plan.views.overview import CellFacts, Overview

__all__ = ["COLUMNS", "closing_lines", "common", "differing", "next_lines", "row_of", "table"]

COLUMNS = ("cell", "verdict", "Python", "torch", "CUDA", "driver", "archs", "platform", "file")
_ALWAYS = {"cell", "verdict", "file"}
_GAP = 2
_SHOWN = 6
"""Identifiers that a reason names; the others are counted."""


def row_of(facts: CellFacts) -> dict[str, str]:
    """Column -> what stands in it; "-" where nothing does."""
    cell, compiled = facts.cell, facts.cell.mode is not Mode.PYTHON
    return {
        "cell": cell.identifier,
        "verdict": "build" if facts.decision.accepted else "reject",
        "Python": shown_python(cell),
        "torch": facts.torch or "-",
        "CUDA": str(cell.cuda) if compiled else "-",
        "driver": f">={cell.driver_floor}" if compiled else "-",
        "archs": " ".join(map(str, cell.archs)) or "-",
        "platform": facts.platform_tag or f"*_{cell.machine}",
        "file": facts.file or "-",
    }


def common(overview: Overview) -> dict[str, str]:
    """Columns in which all cells are alike, with what stands there."""
    rows = [row_of(facts) for facts in overview.cells]
    return {name: rows[0][name] for name in COLUMNS if name not in _ALWAYS and len({row[name] for row in rows}) == 1}


def differing(overview: Overview) -> tuple[str, ...]:
    """The columns that a table of several rows needs."""
    alike = common(overview)
    return tuple(name for name in COLUMNS if name not in alike)


def table(overview: Overview, width: int | None = None) -> list[str]:
    """Lines of at most `width` columns, where words allow; a file's name goes under its row where both do not fit.

    A plan of one cell is that cell, explained.
    """
    if len(overview.cells) == 1:
        (only,) = overview.cells
        return [*explain([only.decision]).splitlines(), *([f"  file: {only.file}"] if only.file else [])]
    names = differing(overview)
    rows = [row_of(facts) for facts in overview.cells]
    alike = ", ".join(f"{name} {value}" for name, value in common(overview).items() if value != "-")
    head = [f"every cell: {alike}"] if alike else []
    below = width is not None and _width(names, rows) > width
    shown = tuple(name for name in names if name != "file") if below else names
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in shown}
    lines = [*head, _line({name: name for name in shown}, widths)]
    for row in rows:
        lines.append(_line(row, widths))
        if below and row["file"] != "-":
            lines.append(f"    {row['file']}")
    return lines


def closing_lines(overview: Overview, most: int | None = _SHOWN) -> Iterator[str]:
    """What the whole of a plan comes to: how many wheels, why not others, what would make fewer.

    Args:
        overview: the plan.
        most: lines of the sources of an extension that are named; `None`: all.
    """
    if len(overview.cells) > 1:
        yield f"{_counted(len(overview.accepted), 'wheel')} of {len(overview.cells)} candidates"
        yield from _rejections(overview)
        yield from dict.fromkeys(line for one in overview.cells for line in collapsed_lines(one.decision))
        yield from (f"note: {note}" for note in dict.fromkeys(n for one in overview.cells for n in one.decision.notes))
    for one in overview.policies:
        yield f'{one.key} = "{one.policy}" is {listed(one.values)}'
    if overview.forecast is not None and overview.forecast.says_something:
        yield f"forecast: {overview.forecast.text}"
    for gain in overview.gains:
        yield f"fewer wheels: {gain.text}"
    yield from survey_lines(overview.surveys, most)
    if overview.free_threaded:
        pythons = listed(overview.free_threaded)
        yield f"not planned: free-threaded Python {pythons}, for gpuwheel compiles modules for the usual builds alone"


def next_lines(overview: Overview) -> Iterator[str]:
    """What releases that do not exist yet would change."""
    for change in overview.next_changes:
        yield f"against {change.name} (assumed: {change.assumption})"
        if change.reason is not None:
            yield f"  nothing to build: {change.reason}"
        for cells, verb in ((change.added, "is added"), (change.stale, "is no longer planned")):
            yield from (f"  {cell} {verb}" for cell in cells)
        if change.kept:
            yield f"  {_counted(len(change.kept), 'wheel')} of today: no rebuild"
        if change.on_request:
            names = listed(change.on_request[:_SHOWN])
            more = f" and {len(change.on_request) - _SHOWN} more" if len(change.on_request) > _SHOWN else ""
            yield f"  {change.setting} would add {_counted(len(change.on_request), 'cell')}: {names}{more}"


def _rejections(overview: Overview) -> Iterator[str]:
    """Each reason once, with the cells that it rejects."""
    reasons: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for facts in overview.cells:
        if not facts.decision.accepted:
            reasons[facts.decision.reason, facts.decision.hint].append(facts.cell.identifier)
    for (reason, hint), names in reasons.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"reject: {reason}: {listed(names[:_SHOWN])}{more}"
        if hint:
            yield f"  hint: {hint}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _width(names: tuple[str, ...], rows: list[dict[str, str]]) -> int:
    return sum(max(len(name), *(len(row[name]) for row in rows)) + _GAP for name in names) - _GAP


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    return (" " * _GAP).join(f"{row[name]:<{width}}" for name, width in widths.items()).rstrip()
