"""What an installer reads of a wheel, or refuses: the archive, its names, RECORD, METADATA, WHEEL, and strays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.rules.container.core_metadata import METADATA_RULES
from gpuwheel.audit.rules.container.entry_points import PROGRAM_RULES
from gpuwheel.audit.rules.container.index_limits import INDEX_RULES
from gpuwheel.audit.rules.container.licences import LICENCE_RULES
from gpuwheel.audit.rules.container.member_names import NAME_RULES
from gpuwheel.audit.rules.container.names_agree import AGREEMENT_RULES
from gpuwheel.audit.rules.container.record import RECORD_RULES
from gpuwheel.audit.rules.container.strays import STRAY_RULES
from gpuwheel.audit.rules.container.wheel_file import WHEEL_RULES
from gpuwheel.audit.rules.container.zip_structure import ARCHIVE_RULES

if TYPE_CHECKING:
    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.model.findings import Rule

__all__ = ["CONTAINER_RULES"]

CONTAINER_RULES: tuple[Rule[WheelCase], ...] = (
    *ARCHIVE_RULES,
    *NAME_RULES,
    *RECORD_RULES,
    *AGREEMENT_RULES,
    *METADATA_RULES,
    *WHEEL_RULES,
    *LICENCE_RULES,
    *PROGRAM_RULES,
    *STRAY_RULES,
    *INDEX_RULES,
)
"""About a whole wheel (`WheelCase`)."""
