"""`load_releases`: what each release of a distribution brings and requires, as typed rows of `releases.toml`.

Apart from the other tables, and parsed by distribution when one is asked for: only the audit asks, and of few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from packaging.markers import Marker

__all__ = ["Content", "Place", "Release", "ReleaseSource", "ReleaseTable", "load_releases"]

_FILE = "releases.toml"
_SEPARATOR = " @ "


@dataclass(frozen=True)
class Place:
    """A Python on Linux, for which an installer chooses."""

    machine: str
    """"x86_64" or "aarch64"."""
    python: int
    """Minor of Python 3."""

    def environment(self, extra: str = "") -> dict[str, str]:
        """What markers are asked about (PEP 508)."""
        return {
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "platform_machine": self.machine,
            "python_version": f"3.{self.python}",
            "python_full_version": f"3.{self.python}.9",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "extra": extra,
        }

    def holds(self, marker: Marker | None, extra: str = "") -> bool:
        """Whether what is required under a marker is installed; without one it is."""
        if marker is None:
            return True
        # A marker of fifty words takes a quarter of a millisecond, and is asked of each place, for each search.
        text = str(marker)
        place = Place(self.machine if "machine" in text else "x86_64", self.python if "python" in text else 0)
        return _holds(marker, place, extra if "extra" in text else "")


@lru_cache(maxsize=1 << 15)
def _holds(marker: Marker, place: Place, extra: str) -> bool:
    return marker.evaluate(place.environment(extra))


class Content(NamedTuple):
    """What a wheel brings and requires."""

    libraries: Mapping[str, tuple[str, ...]]
    """Folder in site-packages -> the files of libraries in it."""
    requires: tuple[Requirement, ...]
    """What else may bring some; of the table, markers are those on Python and extras alone."""
    others: frozenset[str]
    """Names of further requirements, which nobody looked up."""


@dataclass(frozen=True)
class Release:
    """One release of a distribution, on one machine."""

    name: str
    """Of the distribution, normalised."""
    version: Version
    read: Callable[[], Content] = field(repr=False, compare=False)
    """From the table, or from the index."""

    @property
    def libraries(self) -> Mapping[str, tuple[str, ...]]:
        """Folder in site-packages -> the files of libraries in it."""
        return self.read().libraries

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What else may bring some."""
        return self.read().requires

    @property
    def others(self) -> frozenset[str]:
        """Names of further requirements, which nobody looked up."""
        return self.read().others

    @property
    def brings(self) -> frozenset[str]:
        """Every library, by the name of its file."""
        return frozenset(name for names in self.libraries.values() for name in names)


class ReleaseSource(Protocol):
    """Who knows releases: the table, or the index itself; one object is asked about the same again and again."""

    def __hash__(self) -> int:
        """By identity."""

    def releases(self, name: str, place: Place) -> tuple[Release, ...] | None:
        """Those that a place can install, oldest first; `None` for a distribution that was not looked up."""

    def is_bare(self, name: str) -> bool:
        """Whether a distribution brings no library that others could load, and requires none that does."""


@dataclass(frozen=True, eq=False)
class ReleaseTable:
    """The table."""

    read: date
    """When the index was read last."""
    bare: frozenset[str]
    """Distributions without libraries for others."""
    first: frozenset[str]
    """Distributions whose import loads their libraries by path, before any other asks for them."""
    texts: Mapping[str, str] = field(repr=False)
    """Name of a distribution -> its rows."""

    def releases(self, name: str, place: Place) -> tuple[Release, ...] | None:
        """Those that a place can install, oldest first; `None` for a distribution that was not looked up."""
        text = self.texts.get(name)
        return None if text is None else _parsed(name, text).get((place.machine, place.python), ())

    def is_bare(self, name: str) -> bool:
        """Whether a distribution brings no library that others could load, and requires none that does."""
        return name in self.bare

    def bringing(self, soname: str) -> tuple[str, ...]:
        """The distributions of which some release has a library, by name."""
        # Looked for as text first: rows are parsed of those that have it.
        return tuple(
            name
            for name, text in self.texts.items()
            if soname in text and any(soname in line.split() for line in text.splitlines() if line.startswith("  "))
        )


@cache
def _parsed(name: str, text: str) -> Mapping[tuple[str, int], tuple[Release, ...]]:
    found: dict[tuple[str, int], list[Release]] = {}
    for head, lines in _rows(text):
        versions, machines, minors = head.split(_SEPARATOR)
        first, _, last = minors.partition("-")
        content = _content(lines)
        for version in versions.split():
            release = Release(name, Version(version), partial(_given, content))
            for machine in machines.split():
                for minor in range(int(first), int(last) + 1):
                    found.setdefault((machine, minor), []).append(release)
    return {place: tuple(sorted(releases, key=lambda it: it.version)) for place, releases in found.items()}


def _rows(text: str) -> list[tuple[str, list[str]]]:
    rows: list[tuple[str, list[str]]] = []
    for line in filter(None, text.splitlines()):
        if line.startswith("  "):
            rows[-1][1].append(line.strip())
        else:
            rows.append((line, []))
    return rows


def _given(content: Content) -> Content:
    return content


def _content(lines: Collection[str]) -> Content:
    requires = tuple(Requirement(line[2:]) for line in lines if line.startswith("> "))
    others = frozenset(name for line in lines if line.startswith("? ") for name in line[2:].split())
    folders = (line.partition(": ") for line in lines if not line.startswith(("> ", "? ")))
    return Content({folder: tuple(names.split()) for folder, _, names in folders}, requires, others)


def check_rows(table: ReleaseTable) -> None:
    """Read every row.

    Raises:
        DataError: one breaks a law: it is for no machine or Python, brings what an absolute folder holds, requires what
            the table has not, or is of a release that another row is of.
    """
    for name, text in table.texts.items():
        try:
            places = _parsed(name, text)
        except (ValueError, InvalidRequirement, InvalidVersion) as error:
            msg = f"{_FILE}: {name} cannot be read ({error})"
            raise DataError(msg) from error
        for place, releases in places.items():
            if len({release.version for release in releases}) != len(releases):
                msg = f"{_FILE}: {name} has a release twice for Python 3.{place[1]} on {place[0]}"
                raise DataError(msg)
            for release in releases:
                unknown = {requirement.name for requirement in release.requires} - table.texts.keys()
                if unknown or any(folder.startswith(("/", "..")) for folder in release.libraries):
                    msg = f"{_FILE}: {name} {release.version} requires {sorted(unknown)}, or has a folder elsewhere"
                    raise DataError(msg)


@cache
def load_releases() -> ReleaseTable:
    """The table; rows are read when they are asked for.

    Raises:
        DataError: the file is damaged.
    """
    with read_table(_FILE) as file:
        file.require_sources(file.table("sources").strings(), "read", "bare", "first", "distributions")
        return ReleaseTable(
            read=file.parsed("read", date.fromisoformat),
            bare=frozenset(file.words("bare", str)),
            first=frozenset(file.words("first", str)),
            texts=file.table("distributions").strings(),
        )
