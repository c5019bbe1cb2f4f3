"""Everything that a finished wheel claims, checked against the bytes in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import DAMAGE, because, cut
from gpuwheel._limits import MANIFEST_FILE
from gpuwheel.audit.device_code import DeclaredCode, check_device_code, size_by_arch
from gpuwheel.audit.library import Claims, check_library
from gpuwheel.audit.platform import check_platform
from gpuwheel.binary.elf import MAGIC, read_elf
from gpuwheel.binary.fatbin import library_images, read_fatbin
from gpuwheel.model.archs import Arch
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Finding, Severity
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.wheel.archive import check_record, dist_info_folder, read_members
from gpuwheel.wheel.metadata import field_values, parsed_requirements
from gpuwheel.wheel.naming import expand_tag, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.wheels import WheelTag
    from gpuwheel.wheel.archive import Member

__all__ = ["MANIFEST", "audit_wheel"]

MANIFEST = "_kernels.json"
"""Name of the kernel manifest inside a package."""

_DRIVER_LIBRARY = re.compile(r"lib(cuda|nvidia-[\w-]+|nvcuvid)(-[0-9a-f]{8})?\.so(\.\d+)*")
_FATBIN = ".fatbin"
_TOOLKIT_FILE = re.compile(r"(?:.*/)?(?P<group>\w+)\.cu(?P<toolkit>\d+\.\d+)\.fatbin")
_SCHEMA = 1
_RUNTIME = "nvidia-cuda-runtime"
_FLOORS = {">=", "==", "~=", ">"}


@dataclass(frozen=True)
class _Wheel:
    """A wheel taken apart once, for all rules."""

    name: str
    tag: WheelTag
    members: Mapping[str, Member]
    requirements: tuple[Requirement, ...]
    """Requires-Dist, without those of extras, which promise nothing."""
    tags: tuple[str, ...]
    """As WHEEL lists them."""
    libraries: tuple[ElfFile, ...]
    images_of: Mapping[str, tuple[Image, ...]]
    """Device code by the member that holds it: a library, or a file of its own."""

    @property
    def images(self) -> tuple[Image, ...]:
        """Every piece of device code."""
        return tuple(image for images in self.images_of.values() for image in images)


def audit_wheel(path: Path, tables: Tables, *, max_size: int | None = None) -> tuple[Finding, ...]:
    """What is wrong with a wheel, errors first; empty for one that holds what it claims.

    Args:
        path: The wheel.
        tables: What the world allows.
        max_size: Largest size of the file in bytes.

    Raises:
        AuditError: the file is not a wheel, or a library in it cannot be read.
    """
    wheel = _open(path)
    findings = [
        *_check_record(wheel),
        *_check_tags(wheel),
        *_check_platform(wheel, tables),
        *_check_libraries(wheel, tables),
        *_check_device_code(wheel, tables),
        *_check_size(wheel, path.stat().st_size, max_size),
    ]
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _open(path: Path) -> _Wheel:
    members = read_members(path)
    folder = dist_info_folder(members, path.name)
    wheel_file = members.get(f"{folder}/WHEEL")
    metadata = members.get(f"{folder}/METADATA")
    libraries = tuple(
        read_elf(member.data, member.name) for member in members.values() if member.data.startswith(MAGIC)
    )
    return _Wheel(
        name=path.name,
        tag=parse_wheel_name(path.name).tag,
        members=members,
        requirements=tuple(
            found
            for found in (parsed_requirements(metadata.data) if metadata else ())
            if "extra" not in str(found.marker)
        ),
        tags=field_values(wheel_file.data, "Tag") if wheel_file else (),
        libraries=libraries,
        images_of={
            **{library.name: library_images(library) for library in libraries},
            **{name: read_fatbin(members[name].data, name) for name in members if name.endswith(_FATBIN)},
        },
    )


def _error(rule: str, subject: str, problem: str, why: str, fix: str) -> Finding:
    return Finding(rule, Severity.ERROR, subject, problem, why, fix)


def _check_record(wheel: _Wheel) -> Iterator[Finding]:
    for problem in check_record(wheel.members):
        yield _error(
            *("record", wheel.name, problem),
            "installers compare RECORD with the files, and refuse or corrupt the installation",
            "build the wheel again; do not edit it by hand",
        )


def _check_tags(wheel: _Wheel) -> Iterator[Finding]:
    named = sorted(str(tag) for tag in expand_tag(wheel.tag))
    if named != sorted(wheel.tags):
        yield _error(
            *("tag-mismatch", wheel.name),
            f"has other tags in WHEEL than in its name ({cut(' '.join(wheel.tags)) or 'none'}, "
            f"expected {cut(' '.join(named))})",
            "installers trust the name, other tools the file: they would not agree on where the wheel runs",
            "do not rename wheels; `wheel tags` changes both",
        )


def _check_platform(wheel: _Wheel, tables: Tables) -> Iterator[Finding]:
    machines = tuple(sorted({library.machine for library in wheel.libraries}))
    platforms = wheel.tag.platform.split(".")
    wrong = [platform for platform in platforms if machines and not platform.endswith(machines)]
    if wrong:
        yield _error(
            *("platform-tag", wheel.name),
            f"holds libraries for {' and '.join(machines)} under another tag ({' '.join(wrong)}, expected theirs)",
            "the wheel would be installed where its libraries cannot be loaded, or nowhere",
            "build with gpuwheel.backend, which sets the platform tag",
        )
        return
    yield from check_platform(wheel.libraries, wheel.tag.platform, tables)
    if any(platform.startswith("linux_") for platform in platforms):
        yield Finding(
            *("platform-local", Severity.WARNING, wheel.name),
            problem="has the platform tag of a local build (linux_*, expected manylinux_*)",
            why="package indexes refuse such wheels",
            fix="build on a system whose C library is known to gpuwheel",
        )


def _check_libraries(wheel: _Wheel, tables: Tables) -> Iterator[Finding]:
    for name in wheel.members:
        if _DRIVER_LIBRARY.fullmatch(name.rsplit("/", 1)[-1]):
            yield _error(
                *("vendored-driver", name),
                "is a part of the NVIDIA driver (found in the wheel, expected on the machine only)",
                "it must match the kernel module of each machine",
                "exclude it from the wheel (auditwheel repair --exclude)",
            )
    floor = _torch_floor(wheel.requirements)
    if floor is None and _uses_torch(wheel, tables):
        yield _error(
            *("torch-requirement", wheel.name),
            "uses torch without a floor in its dependencies (no Requires-Dist 'torch>=X', expected one)",
            "pip would install it beside a torch in which it does not load",
            """build with gpuwheel.backend and `torch = ">=2.10"`, which writes the floor""",
        )
    for library in wheel.libraries:
        yield from check_library(
            library, library.name, floor or tables.torch_floor, tables, claims=_claims(wheel, tables)
        )


def _uses_torch(wheel: _Wheel, tables: Tables) -> bool:
    return any(symbol.name in tables.shims for library in wheel.libraries for symbol in library.imports)


def _claims(wheel: _Wheel, tables: Tables) -> Claims:
    """What the tag and METADATA say of the libraries."""
    torch = [found for found in wheel.requirements if found.name.lower() == "torch"]
    exact = any(specifier.operator == "==" for found in torch for specifier in found.specifier)
    names = {canonicalize_name(found.name) for found in wheel.requirements}
    stable = bool(torch) or _uses_torch(wheel, tables)  # a missing requirement is a finding of its own
    pins = [pin for toolkit in tables.cuda.values() for pin in toolkit.libraries if pin.name in names]
    provided = {soname for pin in pins for _, soname in pin.sonames}
    provided |= {f"libcudart.so.{row.version.major}" for row in tables.cuda.values() if _RUNTIME in names}
    return Claims(
        torch=TorchAbi.EXACT if exact else TorchAbi.STABLE if stable else TorchAbi.NONE,
        python=(wheel.tag.python, wheel.tag.abi) != ("py3", "none"),
        provided=frozenset(provided),
    )


def _torch_floor(requirements: Sequence[Requirement]) -> MinorVersion | None:
    """The oldest torch that METADATA allows."""
    floors = []
    for requirement in requirements:
        if requirement.name.lower() == "torch":
            floors += [
                Version(specifier.version.removesuffix(".*"))
                for specifier in requirement.specifier
                if specifier.operator in _FLOORS
            ]
    return max((MinorVersion(floor.major, floor.minor) for floor in floors), default=None)


def _check_device_code(wheel: _Wheel, tables: Tables) -> Iterator[Finding]:
    manifests = [member for name, member in wheel.members.items() if name.rsplit("/", 1)[-1] == MANIFEST]
    if not manifests:
        if wheel.images:
            yield Finding(
                *("manifest-missing", Severity.WARNING, wheel.name),
                problem=f"holds device code and no kernel manifest (no {MANIFEST}, expected one)",
                why="nothing says which GPUs and drivers it is for",
                fix="build with gpuwheel.backend",
            )
        return
    try:
        declared = [_declared(manifest) for manifest in manifests]
    except ValueError as error:
        yield _error(
            *("manifest", wheel.name),
            f"holds a file that is not a kernel manifest ({error}, expected schema 1)",
            "tools and people read it to learn where the wheel runs",
            "build the wheel again; do not edit it by hand",
        )
        return
    further = dict(_further_toolkits(wheel, {manifest.toolkit for manifest in declared}, tables))
    whole = DeclaredCode(
        cubins=frozenset().union(*(code.cubins for manifest in declared for code in manifest.groups.values())),
        ptx=frozenset().union(*(code.ptx for manifest in declared for code in manifest.groups.values())),
        driver=min(manifest.driver for manifest in declared),
    )
    loaded_everywhere = [image for name, images in wheel.images_of.items() if name not in further for image in images]
    yield from check_device_code(loaded_everywhere, wheel.name, whole, tables)
    for name, (group, driver) in further.items():
        code = next((manifest.groups[group] for manifest in declared if group in manifest.groups), whole)
        promised = replace(code, driver=max(whole.driver, driver))
        yield from check_device_code(wheel.images_of[name], name, promised, tables)


def _further_toolkits(
    wheel: _Wheel, toolkits: Collection[str], tables: Tables
) -> Iterator[tuple[str, tuple[str, DriverVersion]]]:
    """Images by further CUDA toolkits: file -> kernel group, and the oldest driver, for older ones never load them."""
    for name in wheel.images_of:
        match = _TOOLKIT_FILE.fullmatch(name)
        toolkit = tables.cuda.get(MinorVersion.parse(match["toolkit"])) if match else None
        if match and toolkit is not None and match["toolkit"] not in toolkits:
            yield name, (match["group"], toolkit.driver_floor)


@dataclass(frozen=True)
class _Manifest:
    toolkit: str
    driver: DriverVersion
    groups: Mapping[str, DeclaredCode]


def _declared(member: Member) -> _Manifest:
    if len(member.data) > MANIFEST_FILE.value:
        msg = f"{member.name}: {MANIFEST_FILE.passed(f'{len(member.data):,}')}"
        raise ValueError(msg)
    try:
        document = json.loads(member.data)
        driver = DriverVersion.parse(document["driver_floor"])
        manifest = _Manifest(
            toolkit=str(MinorVersion.parse(document["toolkit"])),
            driver=driver,
            groups={
                name: DeclaredCode(
                    cubins=frozenset(Arch.parse(arch) for arch in group["archs"]),
                    ptx=frozenset(Arch.parse(arch) for arch in group["ptx"]),
                    driver=driver,
                )
                for name, group in document["groups"].items()
            },
        )
    except DAMAGE as error:
        msg = f"{member.name}: {type(error).__name__}: {because(error)}"
        raise ValueError(msg) from error
    if document.get("schema") != _SCHEMA:
        msg = f"{member.name}: schema {cut(document.get('schema'))}"
        raise ValueError(msg)
    return manifest


def _check_size(wheel: _Wheel, size: int, max_size: int | None) -> Iterator[Finding]:
    if max_size is None or size <= max_size:
        return
    shares = ", ".join(f"{target} {_megabytes(count)}" for target, count in size_by_arch(wheel.images).items())
    yield _error(
        *("size-budget", wheel.name),
        f"is too large ({_megabytes(size)}, expected {_megabytes(max_size)} or less; device code: {shares or 'none'})",
        "package indexes refuse files above their limit, and every user downloads every architecture",
        "drop an architecture from `archs`, or raise `max-size` in [tool.gpuwheel.wheel]",
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"
