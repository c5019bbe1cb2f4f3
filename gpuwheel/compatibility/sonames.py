"""`load_sonames`: which distribution brings which shared library, as typed rows of `providers.toml`.

Apart from the other tables: only the audit and what follows it ask.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.compatibility.rows import Tables, TorchBuild

__all__ = ["SonameTable", "load_sonames", "stem"]

_TOOLKIT = "cuda-toolkit"
_TORCH = "torch"
_PYTHONS = tuple(f"3.{minor}" for minor in range(10, 16))
_RELEASES = tuple(itertools.product(range(20), range(5)))
"""Minors and patches that a toolkit may have; "13.0" is "13.0.0" (PEP 440)."""


def stem(soname: str) -> str:
    """A library's name without its version: "libcublas.so" of "libcublas.so.13"."""
    head, separator, _ = soname.partition(".so")
    return head + separator


@dataclass(frozen=True)
class SonameTable:
    """Who brings a library that is not in a wheel."""

    driver: frozenset[str]
    """SONAMEs that the NVIDIA driver installs."""
    copied: frozenset[str]
    """SONAMEs of which a wheel may hold a copy of its own."""
    distributions: Mapping[str, frozenset[str]]
    """Name of a distribution -> SONAMEs in its newest wheel."""
    toolkit: Mapping[int, Mapping[str, tuple[str, ...]]]
    """CUDA major -> extra of the metapackage cuda-toolkit -> distributions."""

    def is_of_driver(self, soname: str) -> bool:
        """Whether the NVIDIA driver installs it, in whatever version."""
        return stem(soname) in {stem(name) for name in self.driver}

    def bringing(self, soname: str) -> tuple[str, ...]:
        """The distributions that have it, by name."""
        return tuple(name for name, sonames in self.distributions.items() if soname in sonames)

    def is_never_copied(self, soname: str) -> bool:
        """Whether it is a library of CUDA, torch or another project of the table, in whatever version."""
        return soname not in self.copied and stem(soname) in self.stems

    @property
    def stems(self) -> frozenset[str]:
        """Names, without versions, of all that a wheel must never hold a copy of."""
        known = self.driver.union(*self.distributions.values()) - self.copied
        return frozenset(map(stem, known))

    def direct(self, requirements: Iterable[Requirement], machine: str) -> dict[str, str]:
        """What requirements bring themselves: SONAME -> distribution.

        Args:
            requirements: Requires-Dist, without those of extras.
            machine: "x86_64" or "aarch64": requirements for other systems bring nothing.
        """
        brought = {}
        for requirement in requirements:
            if _holds(requirement, machine):
                for name in self._distributions(requirement):
                    brought.update(dict.fromkeys(self.distributions.get(name, ()), name))
        return brought

    def brought(self, requirements: Iterable[Requirement], machine: str, tables: Tables) -> dict[str, str]:
        """What requirements bring, and what every torch that they admit brings: SONAME -> distribution."""
        given = list(requirements)
        through = self._through_torch(given, machine, tables)
        return {**through, **self.direct(given, machine)}

    def _distributions(self, requirement: Requirement) -> tuple[str, ...]:
        name = canonicalize_name(requirement.name)
        if name != _TOOLKIT:
            return (name,)
        # Of several majors that are admitted, each would bring other SONAMEs: none is promised.
        majors = [
            major
            for major in self.toolkit
            if any(requirement.specifier.contains(f"{major}.{minor}.{patch}") for minor, patch in _RELEASES)
        ]
        if len(majors) != 1:
            return ()
        parts = self.toolkit[majors[0]]
        extras = parts if "all" in requirement.extras else requirement.extras
        return tuple(part for extra in extras for part in parts.get(extra, ()))

    def _through_torch(self, requirements: Iterable[Requirement], machine: str, tables: Tables) -> dict[str, str]:
        wanted = [found for found in requirements if canonicalize_name(found.name) == _TORCH and _holds(found, machine)]
        if not wanted:
            return {}
        builds = [build for build in tables.torch.values() if _admitted(build, wanted)]
        sets = [self.direct(map(Requirement, build.requires), machine) for build in builds]
        common = set.intersection(*(set(found) for found in sets)) if sets else set()
        return dict.fromkeys(sorted(common), _TORCH)


def _admitted(build: TorchBuild, wanted: Iterable[Requirement]) -> bool:
    return all(found.specifier.contains(build.release) for found in wanted)


def _holds(requirement: Requirement, machine: str) -> bool:
    """Whether some Python on Linux installs it: a marker may name the system, the machine, and the Python."""
    system = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": machine}
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**system, "python_version": python, "python_full_version": f"{python}.0", "extra": ""})
        for python in _PYTHONS
    )


@cache
def load_sonames() -> SonameTable:
    """The table.

    Raises:
        DataError: the file is damaged, or breaks a law.
    """
    with read_table("providers.toml") as file:
        file.require_sources(file.table("sources").strings(), "driver", "copied", "toolkit", "distributions")
        table = SonameTable(
            driver=frozenset(file.words("driver", str)),
            copied=frozenset(file.words("copied", str)),
            distributions={
                name: frozenset(sonames.split()) for name, sonames in file.table("distributions").strings().items()
            },
            toolkit={
                major: {extra: tuple(names.split()) for extra, names in parts.strings().items()}
                for major, parts in file.named_tables("toolkit", int)
            },
        )
    known = frozenset().union(*table.distributions.values())
    if strange := (table.driver & known) | (table.copied - known):
        names = ", ".join(sorted(strange))
        msg = f"providers.toml has {names} in the wrong place (expected `copied` in `distributions`, `driver` not)"
        raise DataError(msg)
    return table
