"""What a wheel needs and does not bring: put into it by auditwheel, or shown to come with what it requires."""

from __future__ import annotations

from gpuwheel.audit.repair.edits import EditsAsked
from gpuwheel.audit.repair.needs import Need, Origin
from gpuwheel.audit.repair.repairing import Act, Repaired, RepairRequest, repaired
from gpuwheel.audit.repair.workplace import Edit

__all__ = ["Act", "Edit", "EditsAsked", "Need", "Origin", "RepairRequest", "Repaired", "repaired"]
