"""Everything of one cell, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.plan.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.plan.views.overview import CellFacts, Overview

__all__ = ["details"]

_SHOWN = 8
"""Lines of sources that are listed; the others are counted."""


def details(facts: CellFacts, overview: Overview) -> Iterator[str]:
    """The verdict with its coverage and notes, what the wheel will say, and what that rests on."""
    yield from explain([facts.decision]).splitlines()
    if facts.decision.accepted:
        yield f"  file: {facts.file}"
        yield f"  local version: {facts.local or 'none'}"
        yield f"  requires Python: {overview.requires_python or 'any'}"
        yield from (f"  requires: {requirement}" for requirement in facts.requires)
        if overview.forecast is not None:
            yield f"  forecast: {overview.forecast.of(facts.cell.identifier)}"
    shown = facts.narrow[:_SHOWN]
    yield from (f"  narrow: {line}" for line in shown)
    if len(facts.narrow) > len(shown):
        yield f"  narrow: {len(facts.narrow) - len(shown)} more lines"
    yield from (f"  fewer wheels: {gain.text}" for gain in overview.gains)
    for row in facts.rows:
        yield f"  data: {row.table}: {row.says}" + (f" ({row.source})" if row.source else "")
