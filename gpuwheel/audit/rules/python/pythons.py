"""For which Pythons a wheel is, and for which a file of it: by tags and by suffixes (PEP 425, PEP 3149)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel.audit.closure.closures import python_range
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.model.wheels import WheelTag

__all__ = [
    "ENTRY_POINT",
    "LATEST",
    "Cpython",
    "Suffix",
    "admits",
    "entry_names",
    "floor",
    "module_name",
    "oldest_installed",
    "required_python",
    "suffix_of",
    "tagged",
]

LATEST = 40
"""Minor versions of Python 3 that are asked, and releases of each."""
ENTRY_POINT = re.compile(r"PyInitU?_(.*)")
_TAG = re.compile(r"cp(\d)(\d+)(t?)")
_FILE = re.compile(
    r"\.(?:(?P<abi3>abi3t?)|cpython-(?P<major>\d)(?P<minor>\d+)(?P<flags>[a-z]*)(?:-(?P<machine>[\w]+?)-(?P<system>[\w-]+))?)\.so"
)


@dataclass(frozen=True)
class Cpython:
    """One CPython."""

    version: MinorVersion
    threaded: bool = False
    """Whether it is the build without the global lock (PEP 703)."""

    def __str__(self) -> str:
        return f"{self.version}{'t' if self.threaded else ''}"


@dataclass(frozen=True)
class Suffix:
    """What the end of an extension module's name says."""

    text: str
    """As it is in the name: ".cpython-311-x86_64-linux-gnu.so"."""
    abi3: bool = False
    python: Cpython | None = None
    machine: str | None = None
    system: str | None = None
    """For example "linux-gnu"."""


def tagged(tag: WheelTag) -> frozenset[Cpython]:
    """The CPythons that a tag names; its ABI says which are without the global lock."""
    abis = tag.abi.split(".")
    found = set()
    for python in tag.python.split("."):
        if match := _TAG.fullmatch(python):
            version = MinorVersion(int(match[1]), int(match[2]))
            own = {abi for abi in abis if abi.startswith(python.rstrip("t"))}
            threaded = {abi.endswith("t") for abi in own} or {bool(match[3])}
            found |= {Cpython(version, one) for one in threaded}
    return frozenset(found)


def floor(tag: WheelTag) -> MinorVersion | None:
    """The oldest CPython of a tag."""
    return min((python.version for python in tagged(tag)), default=None)


def required_python(case: WheelCase) -> SpecifierSet | None:
    """Requires-Python, where there is a valid one; the others are told by a rule of their own."""
    values = field_values(case.wheel.document("METADATA") or b"", "Requires-Python")
    return python_range(values[0]) if len(values) == 1 else None


def admits(required: SpecifierSet, python: str) -> bool:
    """Whether some release of a minor is admitted."""
    return any(required.contains(f"{python}.{patch}", prereleases=True) for patch in range(LATEST))


def oldest_installed(case: WheelCase) -> MinorVersion | None:
    """The oldest CPython for which installers take the wheel: by its tag, and by Requires-Python."""
    oldest, required = floor(case.wheel.tag), required_python(case)
    if oldest is None or required is None:
        return oldest
    minors = range(oldest.minor, LATEST)
    return next((MinorVersion(3, minor) for minor in minors if admits(required, f"3.{minor}")), oldest)


def suffix_of(name: str) -> Suffix | None:
    """What the end of a file's name says; `None` where it says nothing of Python."""
    match = _FILE.search(name.rpartition("/")[2])
    if match is None or match.end() != len(name.rpartition("/")[2]):
        return None
    if match["abi3"]:
        return Suffix(match[0], abi3=True)
    python = Cpython(MinorVersion(int(match["major"]), int(match["minor"])), "t" in match["flags"])
    return Suffix(match[0], python=python, machine=match["machine"], system=match["system"])


def entry_names(library: ElfFile) -> tuple[str, ...]:
    """The modules for which a library has an entry point."""
    return tuple(match[1] for match in map(ENTRY_POINT.fullmatch, library.exports) if match)


def is_module(library: ElfFile) -> bool:
    """Whether a library is made to be imported: by its suffix, or by its entry point."""
    return suffix_of(library.name) is not None or bool(entry_names(library))


def module_name(library: ElfFile) -> str:
    """The name by which Python would import the file."""
    return PurePosixPath(library.name).name.partition(".")[0]
