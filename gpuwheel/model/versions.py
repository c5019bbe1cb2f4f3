"""Versions of CUDA, torch and drivers, as two numbers where the world uses two, and policies that choose them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.model.choices import Mode, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "NOTHING_KNOWN",
    "POLICY_PATTERN",
    "DriverVersion",
    "KnownVersions",
    "MinorVersion",
    "VersionPolicy",
    "meant_policy",
]

POLICY_PATTERN = r"(supported|last [1-9]\d? (minors?|majors?))"
_FORM = re.compile(r"supported|last (?P<count>[1-9]\d?) (?P<unit>minor|major)s?", re.ASCII)

_LOOSE = re.compile(
    r"(?:(?P<last>last|latest|newest|recent)|supported|all|any)(?:[\s_-]+(?P<count>[1-9]\d?))?"
    r"(?:[\s_-]+(?P<unit>minor|major)s?)?(?:[\s_-]+(?:versions?|releases?))?",
    re.IGNORECASE | re.ASCII,
)
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


@dataclass(frozen=True)
class KnownVersions:
    """What there is to choose from, each oldest first."""

    brought: Mapping[Mode, tuple[MinorVersion, ...]]
    """CUDA toolkits by mode: those that gpuwheel brings, and of a major without any the newest that there is."""
    torch: tuple[MinorVersion, ...]
    """From the oldest torch on whose stable ABI is kept."""
    pythons: Mapping[MinorVersion, tuple[MinorVersion, ...]]
    """Torch -> the Pythons that it has wheels for."""


NOTHING_KNOWN = KnownVersions({}, (), {})


@dataclass(frozen=True)
class VersionPolicy:
    """`supported`, `last N minors` or `last N majors`."""

    text: str
    count: int | None
    """How many; `None`: all."""
    majors: bool
    """Whether the newest minor of each major is meant."""

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """From `last 3 minors`.

        Raises:
            ValueError: `text` is no policy.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(text)
        return cls(text, int(match["count"]) if match["count"] else None, match["unit"] == "major")

    def __str__(self) -> str:
        return self.text

    def of(self, versions: Iterable[MinorVersion]) -> tuple[MinorVersion, ...]:
        """Those of `versions` that it means, oldest first.

        Raises:
            ValueError: there are fewer than it names.
        """
        known = sorted(set(versions))
        if self.majors:
            known = sorted({version.major: version for version in known}.values())
        chosen = known[-self.count :] if self.count else known
        if not chosen or (self.count is not None and len(chosen) < self.count):
            msg = f"{self.text!r} names more versions than gpuwheel knows ({', '.join(map(str, known)) or 'none'})"
            raise ValueError(msg)
        return tuple(chosen)

    def toolkits(self, known: KnownVersions, mode: Mode) -> tuple[MinorVersion, ...]:
        """CUDA toolkits for a project of one mode.

        Raises:
            ValueError: as `of`.
        """
        return self.of(known.brought.get(mode, ()))

    def torchs(self, known: KnownVersions, abi: TorchAbi) -> tuple[SpecifierSet, ...]:
        """Ranges of torch: one for each minor on its C++ ABI, else the floor that serves all of them.

        Raises:
            ValueError: as `of`.
        """
        chosen = self.of(known.torch)
        if abi is TorchAbi.EXACT:
            return tuple(SpecifierSet(f"=={version}.*") for version in chosen)
        return (SpecifierSet(f">={chosen[0]}"),)

    def interpreters(
        self, known: KnownVersions, torchs: Sequence[SpecifierSet], admitted: SpecifierSet
    ) -> tuple[MinorVersion, ...]:
        """Pythons that the project admits and some torch of `torchs` has wheels for.

        Raises:
            ValueError: as `of`.
        """
        fitting = [torch for torch in known.pythons if any(one.contains(f"{torch}.0") for one in torchs)]
        pythons = {python for torch in fitting for python in known.pythons[torch]}
        return self.of(python for python in pythons if python.is_admitted_by(admitted))


def meant_policy(text: str) -> str | None:
    """The policy in text that is none: "latest 3 minor releases" is `last 3 minors`; `None`: it reads as no policy."""
    match = _LOOSE.fullmatch(text.strip())
    if match is None:
        return None
    if not match["count"]:
        return "last 1 minors" if match["last"] else "supported"
    return f"last {match['count']} {(match['unit'] or 'minor').lower()}s"
