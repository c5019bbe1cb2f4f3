"""The device code of a wheel, and which CUDA it belongs to: from its bytes, its manifests and what it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from gpuwheel.audit.kernel_manifests import TOOLKIT_FILE
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.publish.torch_facts import applies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

    from gpuwheel.audit import Inspection
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.compatibility import Tables

__all__ = ["DeviceCode", "Ptx", "cuda_of", "device_code", "floor_of", "oldest_driver", "required_majors", "runtimes_of"]

# The SONAME of CUDA 11 has a minor too, and auditwheel puts a digest into that of a copy in the wheel.
_SONAME = re.compile(r"lib(?P<name>[A-Za-z]+)(-[0-9a-f]{8})?\.so\.(?P<major>\d{1,4})(\.\d+)*", re.ASCII)
_OF_A_MAJOR = re.compile(r"(?:nvidia|cuda)-[a-z0-9-]+-cu(?P<major>\d{1,4})")


@dataclass(frozen=True)
class Ptx:
    """Code that the driver compiles, for GPUs of this compute capability and newer ones."""

    arch: str
    """For example "9.0", "10.0f"."""
    driver: str | None
    """Oldest driver that reads its version of the PTX ISA; `None`: none that the tables know."""


@dataclass(frozen=True)
class DeviceCode:
    """Images that are loaded together: of one library or fatbin; a GPU that these do not serve cannot call it."""

    members: tuple[str, ...]
    """Files with these images, sorted."""
    cubins: tuple[str, ...]
    """Compute capabilities, lowest first: "8.0", "9.0a"."""
    ptx: tuple[Ptx, ...]
    driver: str | None
    """Oldest driver that loads them, PTX too, whose own floor may be higher; `None`: nothing in the wheel tells."""
    further: bool
    """By a later toolkit than the rest, for drivers that take it; older ones do without."""


def runtimes_of(wheel: Inspection, environments: Collection[Mapping[str, str]], tables: Tables) -> tuple[int, ...]:
    """The majors of CUDA whose libraries it links or requires, lowest first.

    Args:
        wheel: which.
        environments: what markers ask about, wherever it is installed: a requirement that none has tells nothing.
        tables: versions of CUDA.

    Raises:
        AuditError: a library is damaged, or a requirement is not valid.
    """
    majors = {major for library in wheel.libraries for major in _linked(library)}
    for requirement in wheel.requirements:
        if any(applies(requirement, environment) for environment in environments):
            majors |= required_majors(requirement, tables)
    return tuple(sorted(majors))


def _linked(library: ElfFile) -> set[int]:
    names = load_publishing().cuda.libraries
    found = (_SONAME.fullmatch(needed) for needed in library.needed)
    return {int(match["major"]) for match in found if match and match["name"] in names}


def required_majors(requirement: Requirement, tables: Tables) -> set[int]:
    """The majors of CUDA whose libraries a requirement asks for: one, or none that is known."""
    name = canonicalize_name(requirement.name)
    if match := _OF_A_MAJOR.fullmatch(name):
        return {int(match["major"])}
    if name not in load_publishing().cuda.distributions:
        return set()
    admitted = {version.major for version in tables.cuda if version.is_admitted_by(requirement.specifier)}
    # One that admits several majors says nothing of which the wheel is for.
    return admitted if len(admitted) == 1 else set()


def cuda_of(wheel: Inspection, runtimes: tuple[int, ...]) -> str | None:
    """The oldest toolkit that a manifest names, "12.9"; else the oldest major of its runtimes, "12"."""
    manifests = wheel.manifests
    if not isinstance(manifests, ValueError) and manifests:
        return str(min(manifest.toolkit for manifest in manifests))
    return str(runtimes[0]) if runtimes else None


def device_code(wheel: Inspection, cuda: str | None, tables: Tables) -> Iterator[DeviceCode]:
    """The device code by what is loaded together; files with the same images count once."""
    manifests = wheel.manifests
    stated = [] if isinstance(manifests, ValueError) else [manifest.driver for manifest in manifests]
    own = {library.name: _linked(library) for library in wheel.libraries}
    alike: dict[DeviceCode, list[str]] = {}
    for member, images in sorted(wheel.images_of.items()):
        match = TOOLKIT_FILE.fullmatch(member)
        if not any(image.kind in {"cubin", "ptx"} for image in images):
            continue
        # Of several majors in one wheel each library has the floor of its own.
        linked = [str(major) for major in own.get(member, ())] if cuda is None or "." not in cuda else []
        toolkit = match["toolkit"] if match else linked[0] if len(linked) == 1 else cuda
        further = match is not None and toolkit != cuda
        floors = [
            floor_of(toolkit, tables),
            None if further else max(stated, default=None),
            _codec_floor(images, tables),
        ]
        known = [floor for floor in floors if floor is not None]
        one = DeviceCode(
            members=(),
            cubins=tuple(str(arch) for arch in sorted({image.arch for image in images if image.kind == "cubin"})),
            ptx=tuple(_ptx_of(images, tables)),
            driver=str(max(known)) if known else None,
            further=further,
        )
        alike.setdefault(one, []).append(member)
    for one, members in alike.items():
        yield replace(one, members=tuple(members))


def oldest_driver(code: DeviceCode) -> DriverVersion | None:
    """The oldest driver with which some of it runs: one that loads it, and of PTX alone one that reads that too."""
    if code.driver is None:
        return None
    floor = DriverVersion.parse(code.driver)
    reading = [DriverVersion.parse(ptx.driver) for ptx in code.ptx if ptx.driver is not None]
    return floor if code.cubins or not reading else max(floor, min(reading))


def _ptx_of(images: Iterable[Image], tables: Tables) -> Iterator[Ptx]:
    for image in sorted({image for image in images if image.kind == "ptx"}, key=lambda image: image.arch):
        reading = (row.driver for row in tables.cuda.values() if image.isa is not None and row.ptx_isa >= image.isa)
        driver = next((found for found in reading if found is not None), None)
        yield Ptx(str(image.arch), None if driver is None else str(driver))


def floor_of(toolkit: str | None, tables: Tables) -> DriverVersion | None:
    """The oldest driver of a toolkit, "13.0", or of its major, "13" (minor-version compatibility)."""
    if toolkit is None:
        return None
    if "." in toolkit:
        row = tables.cuda.get(MinorVersion.parse(toolkit))
        return None if row is None else row.driver_floor
    return min((row.driver_floor for row in tables.cuda.values() if str(row.version.major) == toolkit), default=None)


def _codec_floor(images: Iterable[Image], tables: Tables) -> DriverVersion | None:
    """The oldest driver that decompresses all of them."""
    oldest = {row.codec: row.driver for row in reversed(tables.compression)}
    return max((oldest[image.codec] for image in images if image.codec in oldest), default=None)
