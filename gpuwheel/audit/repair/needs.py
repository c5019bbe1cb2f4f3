"""Where each library that a wheel needs comes from: read from the wheel's bytes, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import siblings
from gpuwheel.audit.platform import machine_of, system_libraries
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.sonames import SonameTable

__all__ = ["Need", "Origin", "needs"]


_PYTHON = "libpython"
"""A copy would be a second Python in the process, whose objects are not those of the first."""


class Origin(Enum):
    """Who brings a library."""

    WHEEL = "the wheel itself"
    PLATFORM = "the platform"
    DRIVER = "the NVIDIA driver"
    REQUIRED = "a requirement"
    STATED = "--exclude"
    GRAFTED = "a copy in the wheel"


@dataclass(frozen=True)
class Need:
    """One library that others of the wheel load."""

    soname: str
    """As DT_NEEDED says it."""
    needed_by: tuple[str, ...]
    """Members of the wheel."""
    origin: Origin
    by: str | None = None
    """The distribution that a requirement names."""

    @property
    def excluded(self) -> bool:
        """Whether no copy of it may be made."""
        return self.origin is not Origin.GRAFTED


def needs(wheel: Inspection, tables: Tables, *, exclude: Collection[str] = (), strict: bool = True) -> tuple[Need, ...]:
    """Every library that the wheel needs, in the order of its libraries.

    Args:
        wheel: What is looked at.
        tables: What the world allows.
        exclude: Patterns of SONAMEs that come from elsewhere, as somebody states.
        strict: Whether it is an error that nothing brings a library which must not be copied.

    Raises:
        AuditError: the libraries cannot be read or are for different machines, or a library of CUDA or torch is in no
            requirement, so that only a copy of hundreds of megabytes could bring it; or one of them is Python's.
    """
    if not wheel.libraries:
        return ()
    machine = machine_of(wheel.libraries, tables)
    table, own, system = load_sonames(), siblings(wheel.libraries), system_libraries(tables, machine)
    brought = table.brought(wheel.requirements, machine, tables)

    def origin(soname: str) -> tuple[Origin, str | None]:
        if soname in own:
            return Origin.WHEEL, None
        if soname in system:
            return Origin.PLATFORM, None
        if table.is_of_driver(soname):
            return Origin.DRIVER, None
        if soname in brought:
            return Origin.REQUIRED, brought[soname]
        if any(fnmatchcase(soname, pattern) for pattern in exclude):
            return Origin.STATED, None
        return Origin.GRAFTED, None

    found = [Need(soname, members, *origin(soname)) for soname, members in _asked(wheel.libraries).items()]
    for need in found if strict else ():
        if need.origin is Origin.GRAFTED and (error := _never_copied(need, table)) is not None:
            raise error
    return tuple(found)


def _never_copied(need: Need, table: SonameTable) -> AuditError | None:
    """What forbids a copy of a library; `None`: nothing."""
    if need.soname.startswith(_PYTHON):
        msg = f"{need.needed_by[0]} needs {need.soname}, which is Python itself (expected none in DT_NEEDED)"
        hint = f"link modules without libpython; --exclude {need.soname} says that it is there; no copy is made"
        return AuditError(msg, hint=hint)
    return _unpromised(need, table.bringing(need.soname)) if table.is_never_copied(need.soname) else None


def _asked(libraries: Sequence[ElfFile]) -> Mapping[str, tuple[str, ...]]:
    asked: dict[str, tuple[str, ...]] = {}
    for library in libraries:
        for soname in library.needed:
            asked[soname] = (*asked.get(soname, ()), library.name)
    return asked


def _unpromised(need: Need, distributions: Sequence[str]) -> AuditError:
    expected = " or ".join(distributions) if distributions else "a distribution that has this version of it"
    msg = f"{need.needed_by[0]} needs {need.soname}, which no requirement brings (expected {expected} in Requires-Dist)"
    if distributions:
        hint = f"add {distributions[0]!r} to `dependencies`, or link the library statically; no copy of it is made"
    else:
        hint = f"require what brings it and state --exclude {need.soname}, or link it statically; no copy of it is made"
    return AuditError(msg, hint=hint)
