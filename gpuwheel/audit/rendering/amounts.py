"""Sizes for people."""

from __future__ import annotations

__all__ = ["amount", "change"]

_STEPS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_PLAIN = 10  # of the unit, from which on no decimals are worth reading


def amount(size: float) -> str:
    """In powers of 1000: "812 B", "4.1 MB", "1.6 GB"."""
    for step, unit in _STEPS:
        if abs(size) >= step:
            value = size / step
            return f"{value:.{0 if abs(value) >= _PLAIN * 10 else 1}f} {unit}"
    return f"{size:.0f} B"


def change(before: float, after: float) -> str:
    """Of a size: "4.1 MB -> 3.0 MB (-1.1 MB)"."""
    difference = after - before
    return f"{amount(before)} -> {amount(after)} ({'+' if difference >= 0 else ''}{amount(difference)})"
