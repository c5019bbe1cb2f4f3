"""Areas for sizes: rectangles that fill another one and are as square as may be (Bruls, Huizing, van Wijk 2000)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Box", "squarified"]


class Box(NamedTuple):
    """A rectangle in units of a drawing."""

    x: float
    y: float
    width: float
    height: float

    def inner(self, edge: float, top: float) -> Box:
        """What is left of it inside of an edge, and below a heading."""
        width, height = max(self.width - 2 * edge, 0), max(self.height - top - edge, 0)
        return Box(self.x + edge, self.y + top, width, height)


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """A rectangle for each size, in their order, whose areas are in proportion; nothing lies outside of `box`.

    Args:
        sizes: not negative, the largest first: the nearer to that, the squarer.
        box: what they fill.
    """
    whole = sum(sizes)
    if whole <= 0 or box.width <= 0 or box.height <= 0:
        return [Box(box.x, box.y, 0, 0) for _ in sizes]
    scale = box.width * box.height / whole
    found: list[Box] = []
    row: list[float] = []
    for area in (size * scale for size in sizes):
        side = min(box.width, box.height)
        # A row takes one more as long as its worst rectangle gets no longer by it.
        if row and _worst([*row, area], side) > _worst(row, side):
            boxes, box = _laid(row, box)
            found += boxes
            row = []
        row.append(area)
    return found + _laid(row, box)[0]


def _worst(row: Sequence[float], side: float) -> float:
    """The largest ratio of two sides in a row along `side`."""
    whole = sum(row)
    if whole <= 0 or side <= 0:
        return float("inf")
    small = min(row) or whole * 1e-12
    return max(side**2 * max(row) / whole**2, whole**2 / (side**2 * small))


def _laid(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """The rectangles of a row along the shorter side, and what is left."""
    whole = sum(row)
    upright = box.width >= box.height
    side = box.height if upright else box.width
    depth = min(whole / side, box.width if upright else box.height) if side > 0 else 0
    found, at = [], 0.0
    for area in row:
        length = side * area / whole if whole else 0
        found.append(Box(box.x, box.y + at, depth, length) if upright else Box(box.x + at, box.y, length, depth))
        at += length
    left = (
        Box(box.x + depth, box.y, box.width - depth, box.height)
        if upright
        else Box(box.x, box.y + depth, box.width, box.height - depth)
    )
    return found, left
