"""A wheel's name (binary distribution format) and platform tags (PEP 600)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WheelTag"]


@dataclass(frozen=True)
class WheelTag:
    """One compatibility tag, for example `py3-none-manylinux_2_34_x86_64`."""

    python: str
    abi: str
    platform: str

    def __str__(self) -> str:
        return f"{self.python}-{self.abi}-{self.platform}"
