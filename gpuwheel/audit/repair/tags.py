"""The platform tag that a repaired wheel gets: honest, and no older than the one it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.platform import check_platform, full_tag, machine_of, platform_tag
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables

__all__ = ["honest_tag"]


def honest_tag(libraries: Sequence[ElfFile], tables: Tables, *, present: str, asked: str | None = None) -> str:
    """The platform tag for a wheel with these libraries; `present` itself wherever that is right.

    Args:
        libraries: Every library of the wheel.
        tables: What the world allows.
        present: The tag that the wheel has: a promise that is kept, if it can be.
        asked: The tag that it shall have, with or without the machine.

    Raises:
        AuditError: the libraries need more than `asked` promises, or than any known platform does.
    """
    if not libraries:
        if asked is not None:
            msg = f"a wheel without libraries runs on every platform (found --plat {asked}, expected none)"
            raise AuditError(msg, hint="leave --plat out")
        return present
    if asked is not None:
        return _asked_tag(libraries, asked, tables)
    machine = machine_of(libraries, tables)
    policies = [policy for policy in tables.platforms if policy.machine == machine]
    # The policy that each tag of the name stands for; `None` for "linux_x86_64", "any", and tags of other machines.
    place_of = {
        f"{name}_{machine}": place for place, policy in enumerate(policies) for name in (policy.name, *policy.aliases)
    }
    places = [place_of.get(tag) for tag in present.split(".")]
    if None not in places and not check_platform(libraries, present, tables):
        return present
    verdict = platform_tag(libraries, tables)
    if verdict.tag not in place_of:
        reasons = "; ".join(map(str, verdict.forced_by))
        msg = f"the wheel needs more than any platform tag promises ({reasons})"
        raise AuditError(msg, hint='build with `platform = "manylinux_2_28"` in [tool.gpuwheel.wheel]')
    promised = [place for place in places if place is not None]
    return policies[max(place_of[verdict.tag], min(promised, default=0))].tag


def _asked_tag(libraries: Sequence[ElfFile], asked: str, tables: Tables) -> str:
    if problems := check_platform(libraries, asked, tables):
        found = "; ".join(f"{problem.subject} {problem.problem}" for problem in problems)
        msg = f"the wheel cannot be {asked}: {found}"
        raise AuditError(msg, hint=f"build for an older system, or state --plat {platform_tag(libraries, tables).tag}")
    return full_tag(asked, libraries, tables)
