"""A wheel's name (binary distribution format) and platform tags (PEP 600)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BuiltWheel", "WheelTag"]


@dataclass(frozen=True)
class WheelTag:
    """One compatibility tag, for example `py3-none-manylinux_2_34_x86_64`."""

    python: str
    abi: str
    platform: str

    def __str__(self) -> str:
        return f"{self.python}-{self.abi}-{self.platform}"


@dataclass(frozen=True)
class BuiltWheel:
    """A wheel on disk and what is known of it."""

    path: Path
    tag: WheelTag
    sha256: str
