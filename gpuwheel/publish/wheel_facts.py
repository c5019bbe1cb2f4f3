"""What an inspection of a wheel found, as one value: for indexes and their pages, images, and whoever chooses a wheel.

Of the file's name only what stands nowhere else is believed: its tags. What it holds is read from its bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from gpuwheel._endings import DAMAGE, because
from gpuwheel.audit import opened
from gpuwheel.audit.kernel_manifests import TOOLKIT_FILE
from gpuwheel.compatibility import torch_floor
from gpuwheel.errors import AuditError
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.wheel.archive import dist_info_folder
from gpuwheel.wheel.metadata import field_values, requirements
from gpuwheel.wheel.naming import expand_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from gpuwheel.audit import Inspection
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.compatibility import Tables

__all__ = ["DeviceCode", "Ptx", "WheelFacts", "facts_of"]

_SCHEMA = 1
_RUNTIME = re.compile(r"libcudart\.so\.(?P<major>\d+)")
_OF_A_MAJOR = re.compile(r"nvidia-[a-z0-9-]+-cu(?P<major>\d+)|cuda-toolkit==(?P<exact>\d+)\..*")


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
    """Oldest driver that loads the cubins; `None`: nothing in the wheel tells."""
    further: bool
    """By a later toolkit than the rest, for drivers that take it; older ones do without."""


@dataclass(frozen=True)
class WheelFacts:
    """One wheel file: who it is, and where its bytes run."""

    filename: str
    size: int
    """Bytes of the file."""
    sha256: str
    metadata_sha256: str
    """Of METADATA: what an index states for PEP 658."""
    name: str
    """Of the distribution, normalised (PEP 503)."""
    version: str
    """With its local part."""
    tags: tuple[str, ...]
    """`python-abi-platform`, one each (PEP 425), sorted."""
    requires_python: str | None
    requires_dist: tuple[str, ...]
    """Requires-Dist as METADATA has it."""
    summary: str
    torch: str | None
    """Which torch: a specifier (PEP 440), "" for any, of Requires-Dist and imported symbols; `None`: it needs none."""
    cuda: str | None
    """The toolkit of its device code, "13.0", or its major alone, "12"; `None`: nothing tells, or there is none."""
    driver: str | None
    """Oldest driver with which something of it runs on a GPU; `None`: nothing tells, or it has no device code."""
    code: tuple[DeviceCode, ...]
    """Empty: it runs without a GPU."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes it again."""
        return {"schema": _SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WheelFacts:
        """From plain data that may come from anywhere.

        Raises:
            AuditError: it is not what `to_json` makes.
        """
        try:
            values = dict(data)
            if values.pop("schema") != _SCHEMA:
                raise ValueError(f"schema {data['schema']!r}")  # noqa: EM102, TRY003 (told below)
            code = tuple(_code_from(row) for row in values.pop("code"))
            for key in ("tags", "requires_dist"):
                values[key] = tuple(_text(one) for one in values[key])
            return cls(**values, code=code)
        except DAMAGE as error:
            msg = f"facts of a wheel are not as gpuwheel writes them ({because(error)})"
            raise AuditError(msg, hint="read the wheels again, without what was kept of them") from error


def facts_of(path: Path, tables: Tables) -> WheelFacts:
    """Look into a wheel file.

    Raises:
        AuditError: it is not a wheel, or what is in it cannot be read.
    """
    with opened(path) as wheel:
        folder = dist_info_folder(wheel.members, wheel.name)
        metadata = wheel.members[f"{folder}/METADATA"].data
        code = tuple(_code_of(wheel, tables))
        cuda = _cuda_of(wheel)
        drivers = [DriverVersion.parse(one.driver) for one in code if one.driver]
        return WheelFacts(
            filename=path.name,
            size=path.stat().st_size,
            sha256=_sha256_of(path),
            metadata_sha256=hashlib.sha256(metadata).hexdigest(),
            name=canonicalize_name(_only(metadata, "Name")),
            version=_only(metadata, "Version"),
            tags=tuple(sorted(map(str, expand_tag(wheel.tag)))),
            requires_python=_only(metadata, "Requires-Python") or None,
            requires_dist=requirements(metadata),
            summary=_only(metadata, "Summary"),
            torch=_torch_of(wheel, tables),
            cuda=cuda if code else None,
            driver=str(min(drivers)) if drivers else None,
            code=code,
        )


def _sha256_of(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


def _only(metadata: bytes, field: str) -> str:
    return next(iter(field_values(metadata, field)), "")


def _torch_of(wheel: Inspection, tables: Tables) -> str | None:
    wanted = [requirement for requirement in wheel.requirements if canonicalize_name(requirement.name) == "torch"]
    shims = {symbol.name for library in wheel.libraries for symbol in library.imports if symbol.name in tables.shims}
    if not wanted and not shims:
        return None
    stated = {str(one) for requirement in wanted for one in requirement.specifier}
    if shims:
        stated.add(f">={torch_floor(tables, shims).version}")
    return ",".join(sorted(stated))


def _cuda_of(wheel: Inspection) -> str | None:
    """The oldest toolkit that a manifest names; else the major of the runtime that is linked or required."""
    manifests = wheel.manifests
    if not isinstance(manifests, ValueError) and manifests:
        return str(min(manifest.toolkit for manifest in manifests))
    linked = [_RUNTIME.fullmatch(needed) for library in wheel.libraries for needed in library.needed]
    required = [
        _OF_A_MAJOR.fullmatch(f"{canonicalize_name(one.name)}{one.specifier if one.name == 'cuda-toolkit' else ''}")
        for one in wheel.requirements
    ]
    majors = {match["major"] for match in linked if match}
    majors |= {match["major"] or match["exact"] for match in required if match}
    return min(majors, key=int) if majors else None


def _code_of(wheel: Inspection, tables: Tables) -> Iterator[DeviceCode]:
    """The device code by what is loaded together; files with the same images count once."""
    cuda, manifests = _cuda_of(wheel), wheel.manifests
    stated = [] if isinstance(manifests, ValueError) else [manifest.driver for manifest in manifests]
    alike: dict[DeviceCode, list[str]] = {}
    for member, images in sorted(wheel.images_of.items()):
        match = TOOLKIT_FILE.fullmatch(member)
        if not any(image.kind in {"cubin", "ptx"} for image in images):
            continue
        toolkit = match["toolkit"] if match else cuda
        further = match is not None and toolkit != cuda
        floors = [
            _floor_of(toolkit, tables),
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
        yield DeviceCode(tuple(members), one.cubins, one.ptx, one.driver, one.further)


def _ptx_of(images: Iterable[Image], tables: Tables) -> Iterator[Ptx]:
    for image in sorted({image for image in images if image.kind == "ptx"}, key=lambda image: image.arch):
        reading = (row.driver for row in tables.cuda.values() if image.isa is not None and row.ptx_isa >= image.isa)
        driver = next((found for found in reading if found is not None), None)
        yield Ptx(str(image.arch), None if driver is None else str(driver))


def _floor_of(toolkit: str | None, tables: Tables) -> DriverVersion | None:
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


def _code_from(row: Mapping[str, Any]) -> DeviceCode:
    values = dict(row)
    values["members"] = tuple(_text(one) for one in values["members"])
    values["cubins"] = tuple(_text(one) for one in values["cubins"])
    values["ptx"] = tuple(Ptx(**one) for one in values["ptx"])
    return DeviceCode(**values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise TypeError(msg)
    return value
