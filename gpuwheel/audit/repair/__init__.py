"""What a wheel needs and does not bring: put into it by auditwheel, or shown to come with what it requires."""

from __future__ import annotations

from gpuwheel.audit.repair.needs import Need, Origin
from gpuwheel.audit.repair.repairing import Act, Repaired, RepairRequest, repaired

__all__ = ["Act", "Need", "Origin", "RepairRequest", "Repaired", "repaired"]
