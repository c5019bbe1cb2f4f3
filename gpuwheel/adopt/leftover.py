"""What of a setup.py has no place in pyproject.toml."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Leftover"]

_LONGEST = 100


@dataclass(frozen=True, order=True)
class Leftover:
    """One thing that is not carried over."""

    place: str
    """"setup.py:31"."""
    what: str
    """In one line: of a longer text the beginning, and how long it is."""
    advice: str
    """What to do about it."""

    def __post_init__(self) -> None:
        line = " ".join(self.what.split())
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST // 2]}... ({len(self.what):,} characters)"
        object.__setattr__(self, "what", line)
