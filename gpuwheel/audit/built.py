"""The check between linking and packing: is every library of a freshly built wheel fit to ship, and on what?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.audit.library import Claims, check_build_paths, check_library
from gpuwheel.audit.platform import check_platform, full_tag, platform_tag
from gpuwheel.binary.elf import read_elf
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Finding, Severity
from gpuwheel.wheel import read_members

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from gpuwheel.audit.platform import PlatformVerdict
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.versions import MinorVersion

__all__ = ["BuiltReport", "Expected", "check_built", "refuse"]


@dataclass(frozen=True)
class Expected:
    """What the build set out to make."""

    torch_floor: MinorVersion
    with_kernels: Collection[str]
    """Members that must hold device code, for example "fused_ops/_C.so"; as a mapping, with their kernel groups."""
    build_folders: Sequence[str]
    """Absolute folders that must not be named inside a library."""
    platform: str | None = None
    """The platform tag the project asks for, if any."""
    claims: Claims = field(default_factory=Claims)
    """What the wheel will say of its libraries."""


@dataclass(frozen=True)
class BuiltReport:
    """What was found."""

    findings: tuple[Finding, ...]
    platform: PlatformVerdict
    """The oldest platform that the libraries allow."""
    tag: str
    """The platform tag for the wheel's name: the one asked for, else the oldest."""


def check_built(wheel: Path, expected: Expected, tables: Tables) -> BuiltReport:
    """Look at every shared library of a wheel that was just built.

    Raises:
        AuditError: the wheel or a library in it cannot be read.
    """
    findings: list[Finding] = []
    libraries = []
    for name, member in read_members(wheel).items():
        if not name.endswith(".so"):
            continue
        elf = read_elf(member.data, name)
        libraries.append(elf)
        groups = expected.with_kernels
        kernels = groups.get(name, False) if isinstance(groups, Mapping) else name in groups
        findings += check_library(elf, name, expected.torch_floor, tables, kernels=kernels, claims=expected.claims)
        findings += check_build_paths(member.data, name, expected.build_folders)
    if expected.platform is not None:
        findings += check_platform(libraries, expected.platform, tables)
    verdict = platform_tag(libraries, tables)
    tag = verdict.tag if expected.platform is None else full_tag(expected.platform, libraries, tables)
    return BuiltReport(tuple(findings), verdict, tag)


def refuse(findings: Sequence[Finding]) -> None:
    """End the build if a finding is an error.

    Raises:
        AuditError: names every such finding; the detail says why each matters.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return
    first, *others = errors
    detail = "\n".join(f"{e.subject} {e.problem}\n  why: {e.why}\n  fix: {e.fix}  [{e.rule}]" for e in errors)
    more = f", and {len(others)} more" if others else ""
    msg = f"{first.subject} {first.problem}{more}"
    raise AuditError(msg, hint=first.fix, detail=detail)
