"""What an image asks of NVIDIA's container toolkit: which GPUs, which libraries of the driver, how new a driver.

Read from the bytes of wheels that gpuwheel made and of the project; of the others, which may have gigabytes, from what
they require: libraries of CUDA name their major.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from gpuwheel._endings import DAMAGE
from gpuwheel.audit.kernel_manifests import MANIFEST, TOOLKIT_FILE
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import GpuwheelError
from gpuwheel.model.versions import DriverVersion
from gpuwheel.publish.device_facts import floor_of, required_majors
from gpuwheel.publish.image.contents.opened_wheel import open_wheel
from gpuwheel.publish.image.image_table import image_table
from gpuwheel.publish.wheel_facts import WheelFacts, facts_of
from gpuwheel.wheel.metadata import parsed_requirements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import Tables
    from gpuwheel.publish.image.image_plan import ImageWheel

__all__ = ["gpu_environment"]

_LOCAL = re.compile(r"cu(?P<major>\d{2})\d+")
"""How torch and others label their versions: "2.10.0+cu130"."""


def gpu_environment(wheels: Sequence[ImageWheel], project: str | None, tables: Tables, cache: Cache) -> dict[str, str]:
    """The variables; empty where nothing of the wheels runs on a GPU.

    Args:
        wheels: all that are installed.
        project: the distribution whose bytes are read in any case.
        tables: of toolkits and their drivers.
        cache: keeps what was read, by digest.

    Raises:
        AuditError: a wheel is damaged.
    """
    floors: set[DriverVersion] = set()
    uses_gpu = False
    for wheel in wheels:
        majors = _majors(wheel, tables)
        uses_gpu |= bool(majors)
        floors |= {floor for major in majors if (floor := floor_of(str(major), tables)) is not None}
        if wheel.name == project or _is_ours(wheel):
            facts = _facts(wheel, tables, cache)
            uses_gpu |= bool(facts.code or facts.runtimes)
            floors |= {DriverVersion.parse(facts.driver)} if facts.driver else set()
    if not uses_gpu:
        return {}
    table = image_table()
    found = {
        "NVIDIA_VISIBLE_DEVICES": table.visible_devices,
        "NVIDIA_DRIVER_CAPABILITIES": table.driver_capabilities,
    }
    required = _cuda_of(max(floors), tables) if floors else None
    return {**found, **({"NVIDIA_REQUIRE_CUDA": f"cuda>={required}"} if required else {})}


def _majors(wheel: ImageWheel, tables: Tables) -> set[int]:
    """Majors of CUDA that it is of, or requires."""
    found = required_majors(Requirement(wheel.name), tables)
    if label := _LOCAL.fullmatch(wheel.version.local or ""):
        found.add(int(label["major"]))
    if wheel.name in load_publishing().cuda.distributions:
        found.add(wheel.version.major)
    for requirement in parsed_requirements(wheel.metadata):
        if "extra" not in str(requirement.marker or ""):  # a choice, and no need
            found |= required_majors(requirement, tables)
    return found


def _cuda_of(driver: DriverVersion, tables: Tables) -> str | None:
    """The first CUDA whose own driver is as new: what a driver says of itself is compared with it."""
    found = (row.version for row in tables.cuda.values() if row.driver is not None and row.driver >= driver)
    first = min(found, default=None)
    return None if first is None else str(first)


def _is_ours(wheel: ImageWheel) -> bool:
    with open_wheel(wheel.path, wheel.state) as opened:
        names = opened.members
        return any(name.rpartition("/")[2] == MANIFEST or TOOLKIT_FILE.fullmatch(name) for name in names)


def _facts(wheel: ImageWheel, tables: Tables, cache: Cache) -> WheelFacts:
    name = f"wheel-facts-{wheel.sha256}"
    noted = cache.note(name)
    if noted is not None:
        try:
            return WheelFacts.from_json(json.loads(noted))
        except (GpuwheelError, *DAMAGE):
            pass  # damaged, or of another version: read it again
    facts = facts_of(wheel.path, tables)
    cache.keep_note(name, json.dumps(facts.to_json()).encode())
    return facts
