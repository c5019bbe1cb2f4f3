"""Looking at finished libraries and wheels: does each hold what it claims?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.inspection import Code, Inspection, inspect, opened
from gpuwheel.audit.platform import PlatformVerdict, check_platform, full_tag, platform_tag
from gpuwheel.audit.rules import RULES, UNREADABLE, judge

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding, Profile

__all__ = [
    "RULES",
    "UNREADABLE",
    "Code",
    "Inspection",
    "PlatformVerdict",
    "WheelCase",
    "audit_wheel",
    "check_platform",
    "full_tag",
    "inspect",
    "judge",
    "opened",
    "platform_tag",
]


def audit_wheel(
    path: Path, tables: Tables, *, max_size: int | None = None, profile: Profile | None = None
) -> tuple[Finding, ...]:
    """What is wrong with a wheel file, errors first; empty for one that holds what it claims.

    Args:
        path: The wheel.
        tables: What the world allows.
        max_size: Largest size of the file in bytes.
        profile: What it is held to; `None`: to what gpuwheel promises where gpuwheel made it, else to what breaks.

    Raises:
        AuditError: the file is not a wheel, or what is in it cannot be read.
    """
    with opened(path, strict=False) as wheel:
        return judge(WheelCase(wheel, tables, max_size=max_size, asked=profile))
