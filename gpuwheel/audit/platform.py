"""The oldest Linux platform tag (PEP 600) that the bytes of a wheel's libraries honestly allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.audit.providers import shown
from gpuwheel.binary.elf import MACHINES
from gpuwheel.compatibility import oldest_platform
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables

__all__ = [
    "MUSL",
    "Demand",
    "PlatformVerdict",
    "check_platform",
    "full_tag",
    "machine_of",
    "platform_tag",
    "system_libraries",
]

_LOADERS = frozenset({"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"})
"""The dynamic loader: on every machine, and in no policy's list."""
MUSL = frozenset({f"{name}-{machine}.so.1" for name in ("libc.musl", "ld-musl") for machine in MACHINES} | {"libc.so"})
"""Musl under its names (PEP 656): whether the tag promises it, a rule of its own asks."""


@dataclass(frozen=True)
class Demand:
    """Something that a library wants from the machine."""

    library: str
    """The library of the wheel."""
    provider: str
    """Who has it, for example "libc.so.6"."""
    version: str | None
    """For example "GLIBC_2.34"; `None`: the provider itself is what is missing."""
    symbols: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.library} needs {self.provider}"
        symbols = f" for {shown(self.symbols)}" if self.symbols else ""
        return f"{self.library} needs {self.version} of {self.provider}{symbols}"


@dataclass(frozen=True)
class PlatformVerdict:
    """A platform tag, and what keeps an older one away."""

    tag: str
    """ "manylinux_2_34_x86_64"; "linux_x86_64" where no known policy allows what is needed; "any" without libraries."""
    forced_by: tuple[Demand, ...] = ()
    """What the next older policy lacks; for "linux", what the newest one lacks."""


def system_libraries(tables: Tables, machine: str) -> frozenset[str]:
    """SONAMEs that some platform tag promises on `machine`, the loader, and musl."""
    return (_LOADERS | MUSL).union(*(policy.libraries for policy in tables.platforms if policy.machine == machine))


def platform_tag(libraries: Sequence[ElfFile], tables: Tables) -> PlatformVerdict:
    """The oldest policy that allows every symbol version and system library that the libraries need.

    Libraries that no policy knows (libtorch.so) come from elsewhere and say nothing about the platform.

    Raises:
        AuditError: the libraries are for different machines, or for one that no policy is known for.
    """
    if not libraries:
        return PlatformVerdict("any")
    machine = machine_of(libraries, tables)
    versions, system = _wanted(libraries, machine, tables)
    verdict = oldest_platform(tables.platforms, machine, versions, system)
    # Still a wheel for this machine (PEP 425); indexes take none, which is a rule's to say.
    tag = f"linux_{machine}" if verdict.policy is None else verdict.policy.tag
    return PlatformVerdict(tag, _demands(libraries, verdict.reasons))


def check_platform(libraries: Sequence[ElfFile], requested: str, tables: Tables) -> list[Found]:
    """What forbids the libraries to carry a platform tag; empty for an honest one.

    Args:
        libraries: Every library of the wheel.
        requested: "manylinux_2_28", with or without the machine, or several with dots; "linux_x86_64" claims nothing
            but the machine.
        tables: What the world allows.

    Raises:
        AuditError: the libraries are for different machines, or no such tag is known.
    """
    if not libraries:
        return []
    machine = machine_of(libraries, tables)
    verdict = platform_tag(libraries, tables)
    policies = [policy for policy in tables.platforms if policy.machine == machine]
    versions, system = _wanted(libraries, machine, tables)
    findings = []
    for tag in requested.split("."):
        if tag == f"linux_{machine}":
            continue
        policy = next((p for p in policies if tag.removesuffix(f"_{machine}") in {p.name, *p.aliases}), None)
        if policy is None:
            msg = f"{tag!r} is not a known platform tag for {machine} (known: {', '.join(p.name for p in policies)})"
            raise AuditError(msg, hint="set `platform` in [tool.gpuwheel.wheel] to one of them")
        findings += [
            Found(
                demand.library,
                f"{str(demand).removeprefix(demand.library).strip()} (found, expected what {policy.name} has)",
                why=f"the wheel would be installed on systems of {policy.name}, and fail to load there",
                fix=f'build on an older system, or set `platform = "{verdict.tag.removesuffix(f"_{machine}")}"`',
            )
            for demand in _demands(libraries, oldest_platform([policy], machine, versions, system).reasons)
        ]
    return findings


def full_tag(requested: str, libraries: Sequence[ElfFile], tables: Tables) -> str:
    """A requested platform as a wheel's name writes it: "manylinux_2_28" -> "manylinux_2_28_x86_64".

    Raises:
        AuditError: the libraries are for different machines.
    """
    if not libraries:
        return "any"
    machine = machine_of(libraries, tables)
    return ".".join(f"{tag.removesuffix(f'_{machine}')}_{machine}" for tag in requested.split("."))


def machine_of(libraries: Sequence[ElfFile], tables: Tables) -> str:
    """The one machine that libraries are for, as platform tags name it.

    Raises:
        AuditError: they are for different machines, or for one that no policy is known for.
    """
    machines = {library.machine: library.name for library in libraries}
    if len(machines) > 1:
        found = ", ".join(f"{name} for {machine}" for machine, name in machines.items())
        msg = f"the wheel holds libraries for different machines ({found}, expected one machine)"
        raise AuditError(msg, hint="remove the build folder and build again")
    machine = next(iter(machines))
    known = sorted({policy.machine for policy in tables.platforms})
    if machine not in known:
        msg = f"{libraries[0].name} is for {machine} (no platform tag is known for it, expected {' or '.join(known)})"
        raise AuditError(msg, hint="build on a machine of that kind")
    return machine


def _wanted(libraries: Sequence[ElfFile], machine: str, tables: Tables) -> tuple[set[str], set[str]]:
    """`(symbol versions, SONAMEs)` asked of the platform, not of libraries that come from elsewhere."""
    known = system_libraries(tables, machine) - MUSL
    versions = {
        version
        for library in libraries
        for needed, versions in library.version_needs.items()
        if needed in known
        for version in versions
    }
    return versions, {needed for library in libraries for needed in library.needed if needed in known}


def _demands(libraries: Sequence[ElfFile], reasons: Sequence[str]) -> tuple[Demand, ...]:
    """Which library, and which of its symbols, is behind each reason (a symbol version or a SONAME)."""
    demands = []
    for library in libraries:
        demands += [Demand(library.name, needed, None) for needed in library.needed if needed in reasons]
        for needed, versions in library.version_needs.items():
            for version in sorted(set(versions).intersection(reasons)):
                symbols = (s.name for s in library.imports if (s.library, s.version) == (needed, version))
                demands.append(Demand(library.name, needed, version, tuple(sorted(symbols))))
    return tuple(demands)
