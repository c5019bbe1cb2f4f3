"""Which torch a wheel is for, on each Python that it is for: by its requirements, their markers, and its symbols."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuwheel._endings import DAMAGE
from gpuwheel.compatibility import torch_floor
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from packaging.requirements import Requirement

    from gpuwheel.audit import Inspection
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.wheels import WheelTag

__all__ = ["TorchOfPython", "applies", "environments", "torch_by_python"]

_VERSIONED = re.compile(r"(?P<kind>cp|py)(?P<major>\d)(?P<minor>\d{1,3})", re.ASCII)
_SYSTEMS = {"win": ("win32", "Windows", "nt"), "macosx": ("darwin", "Darwin", "posix")}
_LINUX = ("linux", "Linux", "posix")
_MACHINES = ("x86_64", "aarch64", "amd64", "arm64", "i686", "ppc64le", "s390x", "riscv64")


@dataclass(frozen=True)
class TorchOfPython:
    """Which torch, on one Python."""

    python: str
    """For example "3.12"."""
    torch: str | None
    """A specifier (PEP 440), "" for any; `None`: it needs none there."""


def torch_by_python(
    wheel: Inspection, tags: Iterable[WheelTag], requires_python: str, tables: Tables
) -> tuple[TorchOfPython, ...]:
    """A row for each Python that the tables know and the wheel is for, oldest first; at least one.

    Raises:
        AuditError: a requirement is not valid, or a library is damaged.
        ValueError: `requires_python` is no specifier.
    """
    tags = tuple(tags)
    shims = {symbol.name for library in wheel.libraries for symbol in library.imports if symbol.name in tables.shims}
    floor = {f">={torch_floor(tables, shims).version}"} if shims else set()
    wanted = [requirement for requirement in wheel.requirements if canonicalize_name(requirement.name) == "torch"]
    return tuple(
        TorchOfPython(str(python), _torch(wanted, floor, _environment(python, tags[0].platform)))
        for python in _pythons(tags, requires_python, tables)
    )


def _torch(wanted: Iterable[Requirement], floor: set[str], environment: Mapping[str, str]) -> str | None:
    applying = [requirement for requirement in wanted if applies(requirement, environment)]
    if not applying and not floor:
        return None
    stated = {str(one) for requirement in applying for one in requirement.specifier}
    return ",".join(sorted(stated | floor))


def environments(tags: Collection[WheelTag], requires_python: str, tables: Tables) -> tuple[Mapping[str, str], ...]:
    """What markers ask about (PEP 508) wherever a wheel with these tags is installed.

    Raises:
        ValueError: `requires_python` is no specifier.
    """
    found = [
        _environment(python, platform)
        for python in _pythons(tags, requires_python, tables)
        for platform in sorted({tag.platform for tag in tags})
    ]
    distinct = {(one["python_version"], one["sys_platform"], one["platform_machine"]): one for one in found}
    return tuple(distinct.values())


def applies(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    """Whether a requirement is one there; where nobody can tell, it is."""
    try:
        return requirement.marker is None or requirement.marker.evaluate(dict(environment))
    except DAMAGE:
        return True  # it compares what cannot be compared: installers differ in what they make of it


def _pythons(tags: Iterable[WheelTag], wanted: str, tables: Tables) -> list[MinorVersion]:
    names = frozenset(name.removesuffix("t") for build in tables.torch.values() for name in build.pythons)
    known, admitted = _admitted(names, wanted)
    fitting = [python for python in known if any(_serves(tag, python) for tag in tags)]
    return [python for python in fitting if python in admitted] or fitting[-1:] or list(known[-1:])


@lru_cache(256)
def _admitted(names: frozenset[str], wanted: str) -> tuple[tuple[MinorVersion, ...], frozenset[MinorVersion]]:
    """Pythons in order, and those of them that are admitted: a question that thousands of wheels ask alike."""
    known, specifiers = tuple(sorted(map(MinorVersion.parse, names))), SpecifierSet(wanted)
    return known, frozenset(python for python in known if python.is_admitted_by(specifiers))


def _serves(tag: WheelTag, python: MinorVersion) -> bool:
    match = _VERSIONED.fullmatch(tag.python)
    if match is None:
        return True
    of_tag = MinorVersion(int(match["major"]), int(match["minor"]))
    # Later Pythons too take the stable ABI, and Python code of an earlier one (PEP 425); but no cp312-none.
    stays = tag.abi.startswith("abi3") if match["kind"] == "cp" else True
    return of_tag == python or (stays and of_tag < python)


def _environment(python: MinorVersion, platform: str) -> Mapping[str, str]:
    """What markers ask about (PEP 508), as it is where a wheel of this platform tag is installed."""
    system = next((found for head, found in _SYSTEMS.items() if platform.startswith(head)), _LINUX)
    machine = next((name for name in _MACHINES if platform.endswith(name)), _MACHINES[0])
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": system[2],
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system[1],
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": str(python),
        "sys_platform": system[0],
        "extra": "",
    }
