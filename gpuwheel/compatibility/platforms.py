"""Questions about Linux platform tags (PEP 600)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.compatibility.rows import PlatformPolicy

__all__ = ["PlatformVerdict", "allows", "glibc_of", "oldest_platform", "version_numbers"]


@dataclass(frozen=True)
class PlatformVerdict:
    """Which platform a library installs on, and what keeps it from older ones."""

    policy: PlatformPolicy | None
    """The oldest that allows everything; `None` where no policy does."""
    reasons: tuple[str, ...]
    """What the next older policy (or, without a policy, the newest) does not allow; sorted."""


def oldest_platform(
    policies: Iterable[PlatformPolicy], machine: str, symbol_versions: Iterable[str], libraries: Iterable[str] = ()
) -> PlatformVerdict:
    """The oldest platform that allows what a library imports.

    Args:
        policies: Oldest first, as in `Tables.platforms`.
        machine: "x86_64" or "aarch64".
        symbol_versions: As in the library's version needs: "GLIBC_2.17", "GLIBCXX_3.4.21". Those of libraries that
            the caller allows by name (libtorch) are left out by the caller.
        libraries: SONAMEs in DT_NEEDED, without those that the caller allows by name.
    """
    wanted, needed = set(symbol_versions), set(libraries)
    refused: tuple[str, ...] = ()
    for policy in policies:
        if policy.machine != machine:
            continue
        problems = tuple(
            sorted(version for version in wanted if not allows(policy, version))
            + sorted(name for name in needed if name not in policy.libraries and not _is_loader(name))
        )
        if not problems:
            return PlatformVerdict(policy, refused)
        refused = problems
    return PlatformVerdict(None, refused)


def version_numbers(text: str) -> tuple[int, ...]:
    """From "2.2.5".

    Raises:
        ValueError: `text` is not numbers between dots.
    """
    return tuple(int(part) for part in text.split("."))


def glibc_of(policy: str) -> tuple[int, int]:
    """The glibc version in a policy's name (PEP 600): (2, 28) of "manylinux_2_28".

    Raises:
        ValueError: `policy` is not such a name.
    """
    _, major, minor = policy.split("_")
    return int(major), int(minor)


def allows(policy: PlatformPolicy, version: str) -> bool:
    """Whether a platform has a symbol version such as "GLIBC_2.17"."""
    # Versions without a number ("CXXABI_FLOAT128") have no order: they are listed one by one.
    if version in policy.also:
        return True
    namespace, _, number = version.partition("_")
    if namespace not in policy.newest:
        return False
    try:
        return version_numbers(number) <= policy.newest[namespace]
    except ValueError:
        return False


def _is_loader(soname: str) -> bool:
    # No policy lists the loader: whatever starts a program has it.
    return soname.startswith("ld-linux")
