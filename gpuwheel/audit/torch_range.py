"""Which torches a wheel admits, by its Requires-Dist: what its libraries have to load in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from gpuwheel.model.wheels import WheelTag

__all__ = ["TorchRange", "torch_range"]

_RELEASES = tuple(
    Version(f"{major}.{minor}.{patch}")
    for major, minors in ((0, 5), (1, 14), (2, 40), (3, 3))
    for minor in range(minors)
    for patch in range(4)
)
"""Those that were, and enough that may come: who admits one of the latter sets no upper bound that holds."""
_PYTHONS = tuple(range(8, 16))
"""Minors of Python 3 for which torch 2 has wheels."""
_ONE_PYTHON = re.compile(r"cp3(\d+)")
_MACHINE = re.compile(r"x86_64|aarch64")


@dataclass(frozen=True)
class TorchRange:
    """The torches that a wheel admits, on Linux."""

    minors: tuple[MinorVersion, ...]
    """In order, with some that are not yet released; empty: none."""
    bounded: bool
    """Whether it keeps old ones out."""
    text: str
    """As METADATA has it: "torch>=2.10"."""

    @property
    def single(self) -> MinorVersion | None:
        """The one minor that it admits, where it does: its C++ ABI is the same in every patch release."""
        return self.minors[0] if len(self.minors) == 1 else None


def torch_range(requirements: Sequence[Requirement], tag: WheelTag) -> TorchRange | None:
    """What the requirements say of torch; `None`: nothing.

    A condition (`python_version < "3.12"`) is asked for every Python and machine of the tag: what any of them admits,
    the wheel admits.
    """
    named = [requirement for requirement in requirements if canonicalize_name(requirement.name) == "torch"]
    if not named:
        return None
    holding = {
        tuple(one.specifier for one in named if one.marker is None or one.marker.evaluate(environment))
        for environment in _environments(tag)
    } - {()}
    if not holding:
        return None
    minors = tuple(sorted(frozenset[MinorVersion]().union(*map(_minors, holding))))
    bounded = not minors or minors[0] > MinorVersion(_RELEASES[0].major, _RELEASES[0].minor)
    return TorchRange(minors, bounded, ", ".join(dict.fromkeys(_text(requirement) for requirement in named)))


def _environments(tag: WheelTag) -> Iterator[dict[str, str]]:
    """Of Linux with CPython, as markers ask about it (PEP 508)."""
    exact = _ONE_PYTHON.fullmatch(tag.python) if "abi3" not in tag.abi else None
    for minor in (int(exact[1]),) if exact else _PYTHONS:
        for machine in sorted(set(_MACHINE.findall(tag.platform))) or ["x86_64", "aarch64"]:
            yield {
                "python_version": f"3.{minor}",
                "python_full_version": f"3.{minor}.0",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "os_name": "posix",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "platform_machine": machine,
                "extra": "",
            }


def _minors(wanted: Sequence[SpecifierSet]) -> set[MinorVersion]:
    """Minors of which every specifier admits a release."""
    # A release that the list lacks ("2.13.7", "2.14.0+cu126", "2.16.0rc1") is one if it is named.
    named = [version for one in wanted for specifier in one for version in _version(specifier.version)]
    return {
        MinorVersion(version.major, version.minor)
        for version in (*_RELEASES, *named)
        if all(one.contains(version, prereleases=True) for one in wanted)
    }


def _version(text: str) -> Iterator[Version]:
    try:
        yield Version(text.removesuffix(".*"))
    except ValueError:  # and numbers of thousands of digits
        return  # `===` compares texts


def _text(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"
