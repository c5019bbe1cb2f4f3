"""A wheel, made complete: what nobody else brings is copied into it, and its tag is what its bytes allow."""

from __future__ import annotations

import os
import posixpath
import tempfile
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import atomic_file
from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.inspection import inspect, opened
from gpuwheel.audit.repair.auditwheel import graft
from gpuwheel.audit.repair.needs import Origin, needs
from gpuwheel.audit.repair.tags import honest_tag
from gpuwheel.audit.rules import judge
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.errors import AuditError, FileError, ToolchainError
from gpuwheel.wheel import Packing, Wheel, WheelEdits, edit_wheel, pack_wheel, read_wheel
from gpuwheel.wheel.archive import DEFAULT_EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.audit.repair.needs import Need
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding
    from gpuwheel.wheel import Member

__all__ = ["Act", "RepairRequest", "Repaired", "repaired"]

_LIBRARY_PATH = "AUDITWHEEL_LD_LIBRARY_PATH"
_BILL = ".dist-info/sboms/auditwheel.cdx.json"
_IMAGE_PLATFORM = "AUDITWHEEL_PLAT"
"""The tag that an image of manylinux is for (PEP 600 images set it)."""


class Act(Enum):
    """What is done to a wheel."""

    KEPT = "kept"
    """Nothing: the same bytes under the same name."""
    RETAGGED = "retagged"
    """Another platform tag, and all else as it was."""
    GRAFTED = "grafted"
    """Libraries copied into it, and the tag that fits."""


@dataclass(frozen=True)
class RepairRequest:
    """How wheels are to be repaired."""

    platform: str | None = None
    """The platform tag to give, with or without the machine; `None`: the oldest that is true, and none older than it
    has."""
    lib_path: tuple[Path, ...] = ()
    """Further folders in which to look for libraries."""
    exclude: tuple[str, ...] = ()
    """Patterns of SONAMEs that come with something that gpuwheel does not know."""
    dry_run: bool = False
    """Only say what would be done."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """What programs run in."""
    epoch: int | None = None
    """SOURCE_DATE_EPOCH, seconds since 1970, if it is set."""


@dataclass(frozen=True)
class Repaired:
    """What became of one wheel."""

    source: Path
    path: Path | None
    """The wheel that is there now; `None` where nothing was to be written."""
    act: Act
    platform: str
    """Its platform tag; what `--plat` or the wheel's own bytes give, before a graft that is not made."""
    needs: tuple[Need, ...]
    """Of the wheel as it was."""
    grafted: tuple[str, ...] = ()
    """Members that hold copies of libraries."""
    findings: tuple[Finding, ...] = ()
    """What the audit says of the wheel as it is."""


def repaired(wheel: Path, out: Path, request: RepairRequest, tables: Tables) -> Repaired:
    """Write what `wheel` has to be into the folder `out`, which is made; the wheel itself stays as it is.

    A wheel that needs nothing is copied, byte for byte. Else the bytes depend on those of the wheel, on the libraries
    that are copied, and on the releases of auditwheel and patchelf.

    Raises:
        AuditError: it is not a wheel, needs a library that no copy may bring, cannot have the tag that is asked for, or
            auditwheel cannot repair it.
        ToolchainError: auditwheel is needed, and missing or too old.
        FileError: the result would lie where the wheel itself is.
        OSError: a file cannot be read or written; nothing is left behind.
    """
    with opened(wheel) as inspection:
        found = needs(inspection, tables, exclude=request.exclude)
        grafts = any(need.origin is Origin.GRAFTED for need in found)
        present = inspection.tag.platform
        # With grafts this is the least that it can be: the copies may need more.
        wanted = _present(present, request)
        platform = honest_tag(inspection.libraries, tables, present=wanted, asked=request.platform)
        findings = () if grafts else judge(WheelCase(inspection, tables))
    act = Act.GRAFTED if grafts else Act.KEPT if platform == present else Act.RETAGGED
    told = Repaired(wheel, None, act, platform, found, findings=findings)
    if request.dry_run:
        return told
    out.mkdir(parents=True, exist_ok=True)
    if act is Act.KEPT:
        return replace(told, path=_copied(wheel, out))
    if act is Act.RETAGGED:
        return _written(edit_wheel(read_wheel(wheel), WheelEdits(platform=platform)), out, told, request, tables)
    return _written(_grafted(told, request, tables), out, told, request, tables)


def _present(tag: str, request: RepairRequest) -> str:
    """The platform tag that a wheel is meant to have."""
    # In an image of manylinux, what is built is for the image's tag: "linux" says nothing yet.
    image = request.environ.get(_IMAGE_PLATFORM)
    return image if image and tag.startswith("linux_") else tag


def _copied(wheel: Path, out: Path) -> Path:
    target = out / wheel.name
    if not (target.exists() and target.samefile(wheel)):
        with wheel.open("rb") as source, atomic_file(target) as file:
            while block := source.read(1 << 20):
                file.write(block)
    return target


def _grafted(told: Repaired, request: RepairRequest, tables: Tables) -> Wheel:
    """The wheel with copies of what it needs, and the tag that the whole of it allows."""
    original = read_wheel(told.source)
    made = _with_copies(told, request)
    inspection = inspect(made)
    _check_graft(inspect(original), inspection, request, tables)
    platform = honest_tag(
        inspection.libraries, tables, present=_present(original.name.tag.platform, request), asked=request.platform
    )
    # What is as it was keeps its compressed stream; the rest is deflated here, so that the bytes do not depend on the
    # zlib of the Python that auditwheel runs in.
    members = {
        name: kept
        if (kept := original.members.get(name)) and kept.data == member.data
        else replace(member, packed=None)
        for name, member in _renamed(made, platform).items()
    }
    return edit_wheel(Wheel(original.name, members), WheelEdits(platform=platform))


def _renamed(made: Wheel, platform: str) -> dict[str, Member]:
    """The members, with the name that the wheel will have in auditwheel's bill of materials."""
    before, after = (f"-{tag}.whl".encode() for tag in (made.name.tag.platform, platform))
    return {
        name: replace(member, data=member.data.replace(before, after)) if name.endswith(_BILL) else member
        for name, member in made.members.items()
    }


def _with_copies(told: Repaired, request: RepairRequest) -> Wheel:
    excluded = dict.fromkeys(need.soname for need in told.needs if need.origin is not Origin.GRAFTED)
    # A copied library may need some itself: of CUDA and torch no copy is made for it either.
    never = (f"{stem}*" for stem in sorted(load_sonames().stems))
    words = [word for name in (*excluded, *request.exclude, *never) for word in ("--exclude", name)]
    folders = [*(str(folder.resolve()) for folder in request.lib_path), request.environ.get(_LIBRARY_PATH, "")]
    # The time goes into the archive that auditwheel writes, and into its bill of materials.
    epoch = DEFAULT_EPOCH if request.epoch is None else request.epoch
    environ = {
        **request.environ,
        _LIBRARY_PATH: os.pathsep.join(filter(None, folders)),
        "SOURCE_DATE_EPOCH": str(epoch),
    }
    with tempfile.TemporaryDirectory(prefix="gpuwheel-repair-") as folder:
        # The tag is judged here, with words that name the library: auditwheel takes any that its policies allow.
        words += ["--plat", "auto", "--only-plat"]
        return read_wheel(graft(told.source, Path(folder), words, environ))


def _check_graft(original: Inspection, made: Inspection, request: RepairRequest, tables: Tables) -> None:
    """That nothing is missing now, and nothing was lost on the way.

    Raises:
        AuditError: a copy needs a library of CUDA or torch that no requirement brings, or one that is nowhere.
        ToolchainError: a search path was dropped that led to something in site-packages.
    """
    for need in needs(made, tables, exclude=request.exclude):
        if need.origin is Origin.GRAFTED:
            msg = (
                f"{need.needed_by[0]} still needs {need.soname}, of which no copy was made (expected one in the wheel)"
            )
            raise AuditError(msg, hint=f"link it statically, or state --exclude {need.soname}")
    paths = {library.name: library.search_path for library in made.libraries}
    for library in original.libraries:
        lost = [path for path in library.search_path if _stays_inside(library.name, path)]
        lost = [path for path in lost if path not in paths.get(library.name, library.search_path)]
        if lost:
            msg = f"{library.name} lost its search path {', '.join(lost)} (DT_RUNPATH, expected to stay)"
            raise ToolchainError(msg, hint="upgrade auditwheel: pip install -U 'gpuwheel[repair]'")


def _stays_inside(member: str, path: str) -> bool:
    """Whether an entry of a search path leads to a folder of site-packages."""
    head, origin, rest = path.replace("${ORIGIN}", "$ORIGIN").partition("$ORIGIN")
    folder = posixpath.normpath(posixpath.join(posixpath.dirname(member) or ".", rest.lstrip("/")))
    return bool(origin) and not head and not folder.startswith("..")


def _written(wheel: Wheel, out: Path, told: Repaired, request: RepairRequest, tables: Tables) -> Repaired:
    target = out / str(wheel.name)
    if target.exists() and target.samefile(told.source):
        msg = f"{target} would be replaced by its repaired self (expected another folder)"
        raise FileError(msg, hint="name a folder for it: --wheel-dir DIR")
    packed = pack_wheel(wheel.members.values(), epoch=request.epoch, packing=Packing(keep_streams=True))
    inspection = replace(inspect(wheel), size=packed.size)
    findings = judge(WheelCase(inspection, tables))
    packed.write(target)
    with opened(told.source) as original:
        before = set(original.members)
    copies = tuple(library.name for library in inspection.libraries if library.name not in before)
    return replace(told, path=target, platform=wheel.name.tag.platform, grafted=copies, findings=findings)
