"""Reading and writing wheels (binary distribution format, https://packaging.python.org/specifications).

A wheel written here depends on its members alone: fixed order (`.dist-info` last, `RECORD` last of all), modes 0644 or
0755, one timestamp, no directory entries. It appears under its name only when it is complete.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from gpuwheel._archives import Archive, clashing_names, is_safe_name
from gpuwheel._endings import because, cut
from gpuwheel._files import atomic_file
from gpuwheel._limits import METADATA_FILE, RECORD_PROBLEMS
from gpuwheel.errors import AuditError
from gpuwheel.wheel.stored import Blocks, StoredMember, as_recorded
from gpuwheel.wheel.zip_writer import Entry, deflate, write_zip

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "DEFAULT_EPOCH",
    "Content",
    "Member",
    "PackedWheel",
    "Packing",
    "as_recorded",
    "check_record",
    "dist_info_folder",
    "pack_wheel",
    "read_members",
    "record_digest",
    "sealed_members",
    "stored_members",
    "write_wheel",
]

DEFAULT_EPOCH = 315532800
"""1980-01-01T00:00:00Z: the oldest time that a ZIP archive can say."""

_COLUMNS = ("path", "hash", "size")
"""Of RECORD."""

# Read whole, and taken apart, by everybody who opens a wheel.
_TEXTS = frozenset({"METADATA", "RECORD", "WHEEL"})
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
"""Signatures of RECORD: not listed in it, and void once it changes."""


class Content(Protocol):
    """One file of a wheel, in memory or in an archive that is open."""

    @property
    def name(self) -> str:
        """Path inside the archive, with forward slashes."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def data(self) -> bytes:
        """What it holds: read anew each time where it is in an archive."""

    @property
    def digest(self) -> str:
        """As RECORD writes it."""

    def starts_with(self, head: bytes) -> bool:
        """Whether these are its first bytes."""

    def read(self, at: int, size: int) -> bytes | memoryview:
        """`size` bytes from `at` on; fewer where it ends before. Of a file in an archive, no more is kept than that."""


@dataclass(frozen=True)
class Member:
    """One file of a wheel, in memory."""

    name: str
    """Path inside the archive, with forward slashes."""
    data: bytes
    executable: bool = False
    packed: Entry | None = None
    """As the source archive holds it; `None` for a file that is new or changed."""

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    @cached_property
    def digest(self) -> str:
        """As RECORD writes it."""
        return record_digest(self.data)

    def starts_with(self, head: bytes) -> bool:
        """Whether these are its first bytes."""
        return self.data.startswith(head)

    def read(self, at: int, size: int) -> memoryview:
        """`size` bytes from `at` on; fewer where it ends before."""
        return memoryview(self.data)[at : at + size]


@dataclass(frozen=True)
class Packing:
    """How members are compressed."""

    level: int = 9
    """zlib's 1 .. 9."""
    keep_streams: bool = False
    """Copy the compressed stream of unchanged members. Fast, and right for somebody else's wheel; but then the bytes
    depend on the zlib that made the source (zlib, zlib-ng and libdeflate differ), so our own builds deflate anew."""
    threads: int = 4
    """zlib releases the GIL. The bytes do not depend on this number: members are compressed apart."""


def read_members(path: Path) -> dict[str, Member]:
    """Every file of a wheel by name, in the order of its central directory.

    Raises:
        AuditError: not a ZIP archive, a damaged member, a name that is unsafe or occurs twice, or a bound is passed.
    """
    with _archive(path) as archive:
        return {info.filename: _read_member(archive, info) for info in archive.members}


@contextmanager
def stored_members(path: Path, *, strict: bool = True) -> Iterator[dict[str, Content]]:
    """Every file of a wheel by name, in the order of its central directory: to be read while the wheel is open.

    `strict` as `Archive` takes it.

    Raises:
        AuditError: what `read_members` raises; for a damaged member, when that is read.
    """
    with _archive(path, strict=strict) as archive:
        blocks = Blocks()
        yield {info.filename: StoredMember(archive, info, blocks) for info in archive.members}


@contextmanager
def _archive(path: Path, *, strict: bool = True) -> Iterator[Archive]:
    hint = "download or build the file again"
    if not path.is_file():  # reading a pipe or a device may never end
        problem = "is not a regular file" if path.exists() else "does not exist"
        msg = f"{path.name} {problem} (expected a wheel)"
        raise AuditError(msg, hint=hint)
    with path.open("rb") as raw:
        archive = Archive(raw, path.name, path.stat().st_size, error=AuditError, hint=hint, strict=strict)
        for info in archive.members:
            if info.filename.partition("/")[0].endswith(".dist-info") and info.filename.rpartition("/")[2] in _TEXTS:
                _check_size(archive, info)
        yield archive


def _read_member(archive: Archive, info: zipfile.ZipInfo) -> Member:
    data, stream = archive.read_both(info)
    # The upper half holds the mode of Unix (APPNOTE 4.4.15, as Info-ZIP uses it); of it, installers keep whether the
    # file is executable.
    executable = bool(info.external_attr >> 16 & 0o111)
    mode = _mode(executable=executable)
    packed = Entry(info.filename, mode, info.compress_type, info.CRC, info.file_size, stream)
    return Member(info.filename, data, executable, packed)


def _check_size(archive: Archive, info: zipfile.ZipInfo) -> None:
    if info.file_size > METADATA_FILE.value:
        found = METADATA_FILE.passed(f"{info.file_size:,} bytes")
        msg = f"holds a {cut(info.filename)} that is too large ({found})"
        raise archive.refuse(msg)


def dist_info_folder(names: Iterable[str], source: str) -> str:
    """The one `*.dist-info` folder of a wheel.

    Raises:
        AuditError: there is none, or more than one; `source` names the wheel in the message.
    """
    found = sorted({name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info") and "/" in name})
    if len(found) != 1:
        msg = f"{source} is not a wheel (found {', '.join(found) or 'no .dist-info folder'}, expected exactly one)"
        raise AuditError(msg, hint="build the wheel again")
    return found[0]


def record_digest(data: bytes) -> str:
    """`sha256=...` as RECORD writes it: URL-safe base64 without padding."""
    return as_recorded(hashlib.sha256(data).digest())


def _record(members: Sequence[Member], name: str) -> bytes:
    rows = io.StringIO()
    # csv ends lines with CRLF unless told.
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerows((member.name, member.digest, member.size) for member in members)
    # RECORD cannot hold its own digest (binary distribution format, "The .dist-info directory").
    writer.writerow((name, "", ""))
    return rows.getvalue().encode()


def check_record(members: Mapping[str, Content]) -> list[str]:
    """Each way in which RECORD differs from the members, as a sentence; empty when it is right.

    The first ones, and a last sentence with the number of the others.
    """
    name = f"{dist_info_folder(members, 'the wheel')}/RECORD"
    if name not in members:
        return [f"{name} is missing"]
    try:
        # newline="": the csv module wants line ends as they are, for a name may hold one.
        rows = list(csv.reader(io.StringIO(members[name].data.decode(), newline="")))
    except (csv.Error, UnicodeDecodeError) as error:
        return [f"RECORD cannot be read ({because(error)}, expected lines of {','.join(_COLUMNS)} in UTF-8)"]
    problems = [
        f"RECORD has a row that is not {','.join(_COLUMNS)} ({cut(','.join(row))})"
        for row in rows
        if len(row) != len(_COLUMNS)
    ]
    listed = {row[0]: (row[1], row[2]) for row in rows if len(row) == len(_COLUMNS)}
    exempt = {name, *(f"{name.removesuffix('RECORD')}{signature}" for signature in _SIGNATURES)}
    problems += [f"{cut(missing)} is not in the wheel" for missing in sorted(listed.keys() - members.keys())]
    for member in members.values():
        if member.name in exempt:
            continue
        found = (member.digest, str(member.size))
        if member.name not in listed:
            problems.append(f"{member.name} is not listed")
        elif listed[member.name] != found:
            recorded = cut(" ".join(listed[member.name]))
            problems.append(f"{member.name} differs (recorded {recorded}, found {' '.join(found)})")
    shown = RECORD_PROBLEMS.value
    return problems if len(problems) <= shown else [*problems[:shown], f"{len(problems) - shown} more differences"]


@dataclass(frozen=True)
class PackedWheel:
    """A wheel as its file will be, in memory."""

    chunks: Sequence[bytes]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(map(len, self.chunks))

    def write(self, path: Path) -> str:
        """Write the file, whose folder exists, and return its sha256 in hexadecimal.

        Raises:
            OSError: it cannot be written; nothing is left behind.
        """
        with atomic_file(path) as out:
            for chunk in self.chunks:
                out.write(chunk)
        return out.sha256


# A list that `write_zip` can write to: an io.BytesIO would copy gigabytes while it grows.
class _Chunks(list[bytes]):
    write = list.append


def sealed_members(members: Iterable[Member], source: str) -> dict[str, Member]:
    """The files of a wheel in the order of its archive, with a fresh RECORD, and without signatures of an old one.

    Args:
        members: Files in any order.
        source: The wheel, for messages.

    Raises:
        AuditError: a name is unsafe or occurs twice, or there is not exactly one `.dist-info` folder.
    """
    given = list(members)
    folder = dist_info_folder((member.name for member in given), source)
    void = {f"{folder}/{name}" for name in ("RECORD", *_SIGNATURES)}
    sealed: dict[str, Member] = {}
    # .dist-info at the end, as PEP 427 asks of archivers ("Recommended archiver features"): it can be changed without
    # moving the rest.
    for member in sorted(given, key=lambda m: (m.name.startswith(f"{folder}/"), m.name)):
        if member.name in void:
            continue
        if not is_safe_name(member.name):
            shown = cut(ascii(member.name))
            msg = f"{source} would hold a member with an unsafe name ({shown}, expected a path inside the wheel)"
            raise AuditError(msg, hint="rename the file")
        if member.name in sealed:
            msg = f"{source} would hold {member.name} twice (each name must occur once)"
            raise AuditError(msg, hint="rename one of the two files")
        sealed[member.name] = member
    if clash := clashing_names(sealed):
        msg = f"{source} would hold {clash} as a file and as a folder (expected one of them)"
        raise AuditError(msg, hint="rename one of the two")
    record = f"{folder}/RECORD"
    return {**sealed, record: Member(record, _record(list(sealed.values()), record))}


def pack_wheel(members: Iterable[Member], *, epoch: int | None = None, packing: Packing | None = None) -> PackedWheel:
    """The archive of members that are sealed (`sealed_members`).

    Args:
        members: Files in the archive's order.
        epoch: Timestamp of all members, seconds since 1970 (SOURCE_DATE_EPOCH); 1980-01-01 when not given.
        packing: How members are compressed.
    """
    packing, chunks = packing or Packing(), _Chunks()
    with ThreadPoolExecutor(max(1, packing.threads)) as pool:
        # map keeps the order, whichever thread is done first.
        entries = pool.map(lambda member: _pack(member, packing), members)
        write_zip(chunks, entries, epoch=DEFAULT_EPOCH if epoch is None else epoch)
    return PackedWheel(chunks)


def write_wheel(
    path: Path, members: Iterable[Member], *, epoch: int | None = None, packing: Packing | None = None
) -> str:
    """Write a wheel, with a fresh RECORD, and return its sha256 in hexadecimal.

    Args:
        path: The finished file; its folder exists.
        members: Files in any order. RECORD and signatures of it are replaced.
        epoch: As `pack_wheel` takes it.
        packing: As `pack_wheel` takes it.

    Raises:
        AuditError: what `sealed_members` raises.
        OSError: the file cannot be written; nothing is left behind.
    """
    return pack_wheel(sealed_members(members, path.name).values(), epoch=epoch, packing=packing).write(path)


def _pack(member: Member, packing: Packing) -> Entry:
    wanted = (member.name, _mode(executable=member.executable), zlib.crc32(member.data), len(member.data))
    packed = member.packed
    if packing.keep_streams and packed is not None and wanted == (packed.name, packed.mode, packed.crc, packed.size):
        return packed
    name, mode, crc, size = wanted
    method, stream = deflate(member.data, packing.level)
    return Entry(name, mode, method, crc, size, stream)


def _mode(*, executable: bool) -> int:
    return 0o755 if executable else 0o644
