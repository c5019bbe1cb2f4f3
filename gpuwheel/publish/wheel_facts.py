"""What an inspection of a wheel found, as one value: for indexes and their pages, images, and whoever chooses a wheel.

Of the file's name only what stands nowhere else is believed: its tags. What it holds is read from its bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import Version

from gpuwheel._endings import DAMAGE, because, cut, reading
from gpuwheel._files import sha256_of
from gpuwheel._limits import WHEEL_FACTS, WHEEL_TAGS
from gpuwheel.audit import opened
from gpuwheel.errors import AuditError
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion
from gpuwheel.publish.device_facts import DeviceCode, Ptx, cuda_of, device_code, oldest_driver, runtimes_of
from gpuwheel.publish.torch_facts import TorchOfPython, environments, torch_by_python
from gpuwheel.publish.typed_json import from_plain
from gpuwheel.wheel.archive import dist_info_folder
from gpuwheel.wheel.metadata import field_values, parsed_requirements, requirements
from gpuwheel.wheel.naming import expand_tag, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.audit import Inspection
    from gpuwheel.compatibility import Tables
    from gpuwheel.wheel.naming import WheelName

__all__ = [
    "ChangedFileError",
    "DeviceCode",
    "Ptx",
    "TorchOfPython",
    "WheelFacts",
    "WheelReading",
    "facts_of",
    "read_wheel_facts",
    "split_variant",
]

_SCHEMA = 1
_EXPECTED = "what the binary distribution format asks"
_HINT = "download or build the file again"
# Binary distribution format and PEP 440; whoever reads a page or types a command is spared everything else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", re.ASCII)
_LABEL = re.compile(r"[0-9a-z_.]+", re.ASCII)
_TAG = re.compile(r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CUDA = re.compile(r"\d{1,4}(\.\d{1,4})?", re.ASCII)
_SUMMARY = 512
"""Characters: what PyPI takes."""
_PARTS, _LABELLED_PARTS = 5, {6, 7}
"""Of a wheel's name, without the number of a build; with the label of a variant, and perhaps that number."""


class ChangedFileError(AuditError):
    """A file that somebody writes: nothing is known of it, and another time it may be read."""

    def __init__(self, name: str, doing: str) -> None:
        """Say which, and what was being done with it: "read"."""
        message = f"{name} changed while it was {doing} (expected a file that nobody writes)"
        super().__init__(message, hint="try again when whatever writes it has finished")


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
    """With its local part, normalised (PEP 440)."""
    variant: str | None
    """Its label (PEP 825); `None`: it is a wheel for every installer."""
    tags: tuple[str, ...]
    """`python-abi-platform`, one each (PEP 425), sorted."""
    requires_python: str | None
    requires_dist: tuple[str, ...]
    """Requires-Dist as METADATA has it."""
    summary: str
    torch: str | None
    """Which torch: a specifier (PEP 440), "" for any, of Requires-Dist and imported symbols; `None`: it needs none.
    Where markers make it differ between Pythons, that of the newest one."""
    torch_by_python: tuple[TorchOfPython, ...]
    """Only where markers make it differ; else empty."""
    cuda: str | None
    """The toolkit of its device code, "13.0", or its major alone, "12"; `None`: nothing tells, or there is none."""
    runtimes: tuple[int, ...]
    """Majors of CUDA whose libraries it links or requires; empty: it asks the driver alone, or nobody."""
    driver: str | None
    """Oldest driver with which something of it runs on a GPU; `None`: nothing tells, or it has no device code."""
    code: tuple[DeviceCode, ...]
    """Empty: it runs without a GPU."""

    def torch_for(self, python: str) -> str | None:
        """Which torch on a Python, "3.12"; as `torch`."""
        return next((row.torch for row in self.torch_by_python if row.python == python), self.torch)

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes it again."""
        # By hand: `asdict` copies every text of every row, and an index has thousands.
        code = [{**vars(one), "ptx": [dict(vars(ptx)) for ptx in one.ptx]} for one in self.code]
        rows = [dict(vars(row)) for row in self.torch_by_python]
        return {"schema": _SCHEMA, **vars(self), "torch_by_python": rows, "code": code}

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
            facts = from_plain(cls, values)
            _check(facts)
        except DAMAGE as error:
            msg = f"facts of a wheel are not as gpuwheel writes them ({because(error)})"
            raise AuditError(msg, hint="read the wheels again, without what was kept of them") from error
        return facts


@dataclass(frozen=True)
class WheelReading:
    """A wheel, read once."""

    facts: WheelFacts
    metadata: bytes
    """METADATA as it is."""


def facts_of(path: Path, tables: Tables) -> WheelFacts:
    """Look into a wheel file; raises what `read_wheel_facts` raises."""
    return read_wheel_facts(path, tables).facts


def read_wheel_facts(path: Path, tables: Tables) -> WheelReading:
    """Look into a wheel file.

    Raises:
        AuditError: it is not a wheel, what is in it cannot be read or is not what its name says, or it changed while it
            was read.
    """
    if _NAME.fullmatch(path.name) is None:
        msg = f"{cut(ascii(path.name))} is not a wheel's name (found other characters than letters, digits and ._+!-)"
        raise AuditError(msg, hint="do not rename wheels by hand")
    plain, label = split_variant(path.name)
    named = parse_wheel_name(plain)
    before = _identity(path)
    with opened(path) as wheel:
        sha256 = _sha256_of(path)
        wheel.check_whole()
        reading_ = _read(replace(wheel, name=plain), named, tables)
        facts = replace(reading_.facts, filename=path.name, size=wheel.size or 0, sha256=sha256, variant=label)
        with reading(f"{path.name} is not a wheel", _EXPECTED, hint=_HINT):
            _check(facts)
    # A look before it is opened and one behind: whoever put another file there, or wrote into this one, changed these.
    if _identity(path) != before:
        raise ChangedFileError(path.name, "read")
    size = len(json.dumps(facts.to_json()))
    if size > WHEEL_FACTS.value:
        msg = f"{path.name} says too much of itself ({WHEEL_FACTS.passed(f'{size:,} bytes')})"
        raise AuditError(msg, hint="shorten its requirements")
    return replace(reading_, facts=facts)


def split_variant(filename: str) -> tuple[str, str | None]:
    """The name of a wheel without the label of its variant (PEP 825), and that label, if it has one."""
    parts = filename.removesuffix(".whl").split("-")
    # The number of a build starts with a digit, and the tag of a Python does not.
    is_labelled = len(parts) in _LABELLED_PARTS and len(parts) - parts[2][:1].isdigit() > _PARTS
    if not is_labelled or _LABEL.fullmatch(parts[-1]) is None:
        return filename, None
    return "-".join(parts[:-1]) + ".whl", parts[-1]


def _identity(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read(wheel: Inspection, named: WheelName, tables: Tables) -> WheelReading:
    with reading(f"{wheel.name} is not a wheel", _EXPECTED, hint=_HINT):
        metadata = _metadata(wheel, named)
        tags = expand_tag(wheel.tag)
        if len(tags) > WHEEL_TAGS.value:
            msg = WHEEL_TAGS.passed(f"{len(tags):,}")
            raise ValueError(msg)
        requires_python = _only(metadata, "Requires-Python")
        by_python = torch_by_python(wheel, tags, requires_python, tables)
        runtimes = runtimes_of(wheel, environments(tags, requires_python, tables), tables)
        cuda = cuda_of(wheel, runtimes)
        code = tuple(device_code(wheel, cuda, tables))
        drivers = [driver for one in code if (driver := oldest_driver(one)) is not None]
        facts = WheelFacts(
            filename=wheel.name,
            size=0,
            sha256="",
            metadata_sha256=hashlib.sha256(metadata).hexdigest(),
            name=canonicalize_name(named.distribution),
            version=str(Version(named.version.replace("_", "-"))),
            variant=None,
            tags=tuple(sorted({str(tag).lower() for tag in tags})),
            requires_python=requires_python or None,
            requires_dist=requirements(metadata),
            summary=_only(metadata, "Summary")[:_SUMMARY],
            torch=by_python[-1].torch,
            torch_by_python=by_python if len({row.torch for row in by_python}) > 1 else (),
            cuda=cuda if code else None,
            runtimes=runtimes,
            driver=str(min(drivers)) if drivers else None,
            code=code,
        )
    return WheelReading(facts, metadata)


def _metadata(wheel: Inspection, named: WheelName) -> bytes:
    """METADATA, which says of the wheel what its name says, as pip and uv demand."""
    folder = dist_info_folder(wheel.members, wheel.name)
    for name in ("METADATA", "WHEEL"):
        if f"{folder}/{name}" not in wheel.members:
            msg = f"no {name} in {folder}"
            raise ValueError(msg)
    metadata = wheel.members[f"{folder}/METADATA"].data
    # Raises where one is not valid: installers would fail when they choose, and for every version on the page.
    parsed_requirements(metadata)
    own, version = canonicalize_name(named.distribution), Version(named.version.replace("_", "-"))
    of_folder = folder.removesuffix(".dist-info").rpartition("-")
    for where, name, text in (
        ("METADATA", _only(metadata, "Name"), _only(metadata, "Version")),
        (folder, of_folder[0], of_folder[2]),
    ):
        if canonicalize_name(name) != own or Version(text.replace("_", "-")) != version:
            msg = f"{cut(where)} is of {cut(name)} {cut(text)}"
            raise ValueError(msg)
    if not is_normalized_name(own):
        msg = f"{cut(own)} is not a project's name"
        raise ValueError(msg)
    return metadata


def _check(facts: WheelFacts) -> None:
    """Hold facts of others to what readers rely on.

    Raises:
        ValueError: one is not of its form.
    """
    forms = [
        (facts.filename, _NAME),
        (facts.sha256, _SHA256),
        (facts.metadata_sha256, _SHA256),
        *((tag, _TAG) for tag in facts.tags),
        *((text, form) for text, form in ((facts.variant, _LABEL), (facts.cuda, _CUDA)) if text is not None),
    ]
    odd = next((text for text, form in forms if form.fullmatch(text) is None), None)
    if odd is None and not is_normalized_name(facts.name):
        odd = facts.name
    if odd is not None or facts.size < 0 or not facts.tags:
        msg = f"{cut(odd or facts.filename)} is not of its form"
        raise ValueError(msg)
    _check_version(facts.version)
    for torch in (facts.torch, *(row.torch for row in facts.torch_by_python)):
        _check_specifier(torch or "")
    drivers = [facts.driver, *(code.driver for code in facts.code), *(p.driver for c in facts.code for p in c.ptx)]
    for driver in filter(None, drivers):
        DriverVersion.parse(driver)
    for code in facts.code:
        for arch in (*code.cubins, *(ptx.arch for ptx in code.ptx)):
            Arch.parse(arch)


@lru_cache(4096)
def _check_version(text: str) -> None:
    Version(text)


@lru_cache(4096)
def _check_specifier(text: str) -> None:
    SpecifierSet(text)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return sha256_of(file)


def _only(metadata: bytes, field: str) -> str:
    return next(iter(field_values(metadata, field)), "")
