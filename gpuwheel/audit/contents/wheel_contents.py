"""One wheel's content as a value: what `gpuwheel inspect` tells and `gpuwheel diff` compares."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._files import sha256_of
from gpuwheel.audit.contents.kernel_rows import kernel_rows
from gpuwheel.audit.inspection import opened
from gpuwheel.errors import AuditError, GpuwheelError
from gpuwheel.wheel.archive import dist_info_folder
from gpuwheel.wheel.metadata import field_values, requirements
from gpuwheel.wheel.packed_sizes import packed_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import TypeVar

    from gpuwheel.audit.contents.kernel_rows import KernelRow
    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.wheel.packed_sizes import Packed

    _Read = TypeVar("_Read")

__all__ = ["CodeRow", "LibraryContents", "WheelContents", "added_up", "by_target", "read_contents"]


@dataclass(frozen=True)
class CodeRow:
    """The device code of one file for one target."""

    target: str
    """ "sm_90a", or "compute_90" for PTX."""
    kind: str
    """ "cubin", "ptx", "lto"."""
    codec: str
    """ "none", "LZ4", "zstd"; "mixed" where pieces differ."""
    images: int
    """How many pieces."""
    size: int
    """Bytes as they are in the file, headers left out."""
    raw_size: int
    """Bytes before the compression of device code."""
    debug: int = 0
    """How many of the pieces were compiled for a debugger."""
    line_info: int = 0
    """How many name lines of their source."""


@dataclass(frozen=True)
class LibraryContents:
    """One ELF file."""

    name: str
    """Of the member."""
    machine: str
    soname: str | None
    needed: tuple[str, ...]
    rpath: str | None
    """DT_RPATH as it is written."""
    runpath: str | None
    """DT_RUNPATH."""
    versions: Mapping[str, tuple[str, ...]]
    """Library -> versions of symbols that are asked of it."""
    imports: tuple[str, ...]
    exports: tuple[str, ...]


@dataclass(frozen=True)
class WheelContents:
    """What is in one wheel file."""

    file: str
    size: int
    """Bytes of the file."""
    sha256: str
    fields: Mapping[str, tuple[str, ...]]
    """Of METADATA: "Name", "Version", "Summary", "Requires-Python"."""
    generator: str
    """Who wrote it, as WHEEL says."""
    tags: tuple[str, ...]
    """As WHEEL lists them."""
    requirements: tuple[str, ...]
    """Requires-Dist as METADATA has it."""
    members: Mapping[str, Packed]
    libraries: tuple[LibraryContents, ...]
    code: Mapping[str, tuple[CodeRow, ...]]
    """Device code by the member that holds it: only members that hold some."""
    unread: tuple[str, ...]
    """What could not be read, as sentences: of it nothing is told."""
    kernels: tuple[KernelRow, ...] | None = None
    """`None`: they were not asked for."""

    @property
    def unpacked(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members.values())


_FIELDS = ("Name", "Version", "Summary", "Requires-Python")


def read_contents(path: Path, *, kernels: bool = False) -> WheelContents:
    """Look into a wheel file; `kernels`: into its machine code, too, which has to be unpacked.

    Raises:
        AuditError: it is no archive. What in it cannot be read is told in `unread`.
    """
    with opened(path) as wheel:
        unread: list[str] = []
        metadata = _tried(lambda: _text(wheel, "METADATA"), b"", unread)
        marks = _tried(lambda: _text(wheel, "WHEEL"), b"", unread)
        libraries: tuple[ElfFile, ...] = _tried(lambda: wheel.libraries, (), unread)
        images: Mapping[str, tuple[Image, ...]] = _tried(lambda: wheel.images_of, {}, unread)
        unread += [error.message for error in wheel.damaged.values()]
        rows = kernel_rows(images, unread) if kernels else None
        with path.open("rb") as file:
            sha256 = sha256_of(file)
        return WheelContents(
            file=path.name,
            size=path.stat().st_size,
            sha256=sha256,
            fields={name: field_values(metadata, name) for name in _FIELDS},
            generator=next(iter(field_values(marks, "Generator")), ""),
            tags=field_values(marks, "Tag"),
            requirements=requirements(metadata),
            members=packed_members(path),
            libraries=tuple(_library(library) for library in libraries),
            code={name: targets for name, found in images.items() if (targets := by_target(found))},
            unread=tuple(dict.fromkeys(unread)),
            kernels=rows,
        )


def by_target(images: Iterable[Image]) -> tuple[CodeRow, ...]:
    """Images of one file, added up by what they are for, in order of arch."""
    found: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in sorted(images, key=lambda image: (image.kind, image.arch)):
        found[image.kind, str(image)].append(image)
    return tuple(
        CodeRow(
            target=target,
            kind=kind,
            codec=_only({image.codec for image in group}),
            images=len(group),
            size=sum(image.size for image in group),
            raw_size=sum(image.raw_size for image in group),
            debug=sum(image.debug for image in group),
            line_info=sum(image.line_info for image in group),
        )
        for (kind, target), group in found.items()
    )


def added_up(files: Iterable[tuple[CodeRow, ...]]) -> tuple[CodeRow, ...]:
    """The device code of several files, added up by target."""
    found: dict[tuple[str, str], CodeRow] = {}
    for row in (row for rows in files for row in rows):
        before = found.get((row.kind, row.target))
        found[row.kind, row.target] = row if before is None else _sum(before, row)
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[0], len(key[1]), key[1])))


def _sum(one: CodeRow, other: CodeRow) -> CodeRow:
    return CodeRow(
        target=one.target,
        kind=one.kind,
        codec=one.codec if one.codec == other.codec else "mixed",
        images=one.images + other.images,
        size=one.size + other.size,
        raw_size=one.raw_size + other.raw_size,
        debug=one.debug + other.debug,
        line_info=one.line_info + other.line_info,
    )


def _only(codecs: set[str]) -> str:
    return next(iter(codecs)) if len(codecs) == 1 else "mixed"


def _text(wheel: Inspection, name: str) -> bytes:
    folder = dist_info_folder(wheel.members, wheel.name)
    if f"{folder}/{name}" not in wheel.members:
        msg = f"{cut(folder)} has no {name}"
        raise AuditError(msg)
    return wheel.members[f"{folder}/{name}"].data


def _tried(read: Callable[[], _Read], otherwise: _Read, unread: list[str]) -> _Read:
    try:
        return read()
    except GpuwheelError as error:
        unread.append(error.message)
        return otherwise


def _library(library: ElfFile) -> LibraryContents:
    return LibraryContents(
        name=library.name,
        machine=library.machine,
        soname=library.soname,
        needed=library.needed,
        rpath=library.rpath,
        runpath=library.runpath,
        versions={name: tuple(sorted(set(versions))) for name, versions in library.version_needs.items()},
        imports=tuple(sorted({symbol.name for symbol in library.imports})),
        exports=tuple(sorted(set(library.exports))),
    )
