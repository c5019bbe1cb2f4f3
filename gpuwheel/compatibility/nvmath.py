"""`load_nvmath`: the releases of nvmath-python and of what they require, as typed rows of `nvmath.toml`.

Apart from the other tables: only projects with the key `nvmath` need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version

from gpuwheel.compatibility.parsing import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility.parsing import Reader

__all__ = ["NvmathTable", "Release", "load_nvmath"]

_ALWAYS = "requires"
"""Key of what a release requires without any extra."""


@dataclass(frozen=True)
class Release:
    """One release of a package, as its Linux x86_64 wheel states it."""

    requires: tuple[Requirement, ...]
    """What it requires of NVIDIA's packages, without an extra."""
    extras: Mapping[str, tuple[Requirement, ...]]
    """What each extra adds."""

    def requirements(self, extras: frozenset[str]) -> tuple[Requirement, ...]:
        """What the release requires with these extras; one that it does not have adds nothing, as installers do."""
        return (*self.requires, *(one for extra in sorted(extras) for one in self.extras.get(extra, ())))


@dataclass(frozen=True)
class NvmathTable:
    """What an installer would read of nvmath-python's dependencies on the package index."""

    packages: Mapping[str, Mapping[Version, Release]]
    """Packages whose own requirements matter, newest release first."""
    versions: Mapping[str, tuple[Version, ...]]
    """Packages that require nothing that matters, newest first."""

    def known(self, name: str) -> tuple[Version, ...] | None:
        """The releases of a package, newest first; `None` for one that the table does not have."""
        releases = self.packages.get(name)
        return tuple(releases) if releases is not None else self.versions.get(name)


@cache
def load_nvmath() -> NvmathTable:
    """The table.

    Raises:
        DataError: the file is damaged.
    """
    with read_table("nvmath.toml") as file:
        file.text("source")
        packages = {}
        for name, rows in file.named_tables("packages", str):
            with rows:
                releases = {Version(version): _release(rows.table(version)) for version in rows.names()}
            # Newest first, as installers try them.
            packages[name] = dict(sorted(releases.items(), reverse=True))
        versions = file.table("versions").mapping(str, _versions)
    return NvmathTable(packages, versions)


def _release(reader: Reader) -> Release:
    with reader as row:
        lists = {name: tuple(map(_requirement, row.texts(name))) for name in row.names()}
    return Release(lists.pop(_ALWAYS, ()), lists)


@cache
def _requirement(text: str) -> Requirement:
    """Half of them stand in several releases."""
    return Requirement(text)


def _versions(text: str) -> tuple[Version, ...]:
    return tuple(sorted(map(Version, text.split()), reverse=True))
