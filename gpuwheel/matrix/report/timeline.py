"""When each cell and each of its sources was worked on, as a drawing (SVG 1.1) that needs no script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["timeline"]

_WIDTH, _LANE, _BAR, _LABEL, _AXIS = 1000, 14, 11, 20, 24
"""Units of the drawing: its width, the height of a lane, of a bar in it, of a cell's name, and of the axis."""
_TICKS = 8
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""Seconds between marks that people read easily."""


def timeline(document: Mapping[str, Any]) -> str:
    """The drawing of a report's cells that were built in that run; empty if there were none."""
    cells = [cell for cell in document["cells"] if cell["stages"]]
    if not cells:
        return ""
    whole = max(document["seconds"], 0.01)
    parts, y = [], float(_AXIS)
    for cell in cells:
        lanes = [cell["stages"], *_lanes(cell["sources"])]
        parts.append(f'<text class="name" x="0" y="{y + _LABEL - 6:g}">{escape(cell["identifier"])}</text>')
        y += _LABEL
        for number, lane in enumerate(lanes):
            parts += (_bar(bar, y, whole, is_stage=number == 0, state=cell["state"]) for bar in lane)
            y += _LANE
    axis = "".join(_axis(whole, y))
    head = f'<svg viewBox="0 0 {_WIDTH} {y + 4:g}" role="img" aria-label="timeline of {len(cells)} wheels">'
    return f"{head}{axis}{''.join(parts)}</svg>"


def _lanes(bars: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """As few lanes as hold them without overlap: each goes into the first lane that is free when it starts."""
    lanes: list[list[dict[str, Any]]] = []
    for bar in sorted(bars, key=lambda one: one["start"]):
        free = next((lane for lane in lanes if lane[-1]["start"] + lane[-1]["seconds"] <= bar["start"]), None)
        if free is None:
            lanes.append(free := [])
        free.append(bar)
    return lanes


def _bar(bar: Mapping[str, Any], y: float, whole: float, *, is_stage: bool, state: str) -> str:
    x, width = _WIDTH * bar["start"] / whole, max(_WIDTH * bar["seconds"] / whole, 1.0)
    if is_stage:
        kind, text = f"stage {state}", bar["text"]
    else:
        kind = "source failed" if bar.get("exit_code") else "source"
        peak = f", {bar['peak'] / 1e9:.1f} GB" if bar.get("peak") else ""
        text = f"{bar['source']}{peak}"
    title = escape(f"{text}: {bar['seconds']:.1f} s from {bar['start']:.1f} s on")
    place = f'x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{_BAR}"'
    return f'<rect class="{kind}" {place}><title>{title}</title></rect>'


def _axis(whole: float, height: float) -> Iterator[str]:
    longest = _STEPS[-1] * (int(whole / _STEPS[-1] / _TICKS) + 1)
    step = next((step for step in _STEPS if whole / step <= _TICKS), longest)
    for second in range(0, int(whole) + 1, step):
        x = _WIDTH * second / whole
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_AXIS - 8}" y2="{height:g}"/>'
        # Beside its line, or it would be cut at the right edge.
        side = "end" if x > _WIDTH - 60 else "start"
        yield f'<text class="tick" text-anchor="{side}" x="{x:.1f}" y="12">{_clock(second)}</text>'


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}:{seconds:02} min" if minutes else f"{seconds} s"
