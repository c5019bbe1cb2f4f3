"""What of a setup.py has no place in pyproject.toml."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Leftover"]


@dataclass(frozen=True, order=True)
class Leftover:
    """One thing that is not carried over."""

    place: str
    """"setup.py:31"."""
    what: str
    advice: str
    """What to do about it."""
