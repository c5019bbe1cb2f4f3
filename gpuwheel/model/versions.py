"""Versions of CUDA, torch and drivers, as two numbers where the world uses two."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

__all__ = ["DriverVersion", "MinorVersion"]

_MINOR = re.compile(r"(\d+)\.(\d+)(?:\..*)?")
_DRIVER = re.compile(r"\d+(?:\.\d+){0,2}")


@dataclass(frozen=True, order=True)
class MinorVersion:
    """A `major.minor` version: CUDA 12.9, torch 2.10. Orders as numbers, so 2.9 < 2.10."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> MinorVersion:
        """From "12.9" or "2.10.0" (later parts are dropped).

        Raises:
            ValueError: `text` does not start with two numbers.
        """
        match = _MINOR.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not a major.minor version (expected for example '12.9')"
            raise ValueError(msg)
        return cls(int(match[1]), int(match[2]))

    def is_admitted_by(self, wanted: SpecifierSet) -> bool:
        """Whether some release of it is: a floor such as >=3.10.4 admits later ones of 3.10."""
        # Specifiers cannot be intersected (packaging has no such question), and no minor of Python ever had a hundred
        # releases.
        return any(wanted.contains(f"{self}.{patch}") for patch in range(100))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, order=True)
class DriverVersion:
    """A Linux driver version: 525, 575.51.03."""

    parts: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> DriverVersion:
        """From "525" or "575.51.03".

        Raises:
            ValueError: `text` is not numbers between dots.
        """
        if _DRIVER.fullmatch(text) is None:
            msg = f"{text!r} is not a driver version (expected for example '525' or '575.51.03')"
            raise ValueError(msg)
        return cls(tuple(int(part) for part in text.split(".")))

    def __str__(self) -> str:
        head, *rest = self.parts
        # NVIDIA pads the parts behind the first: 575.51.03.
        return ".".join([str(head), *(f"{part:02d}" for part in rest)])
