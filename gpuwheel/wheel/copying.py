"""A wheel made from another: what is not changed is copied as it is compressed, a block at a time.

Nothing of it is inflated, hashed or held in memory: its row of RECORD stays as it was, true or not, for an audit to
judge. What is new comes from files, and is deflated to files.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel._archives import Archive
from gpuwheel._deflate import crc32
from gpuwheel._endings import because, cut
from gpuwheel._files import atomic_file
from gpuwheel._limits import METADATA_FILE
from gpuwheel.errors import AuditError, UnreadableError
from gpuwheel.wheel.archive import DEFAULT_EPOCH, as_recorded, dist_info_folder
from gpuwheel.wheel.deflating import deflate_bytes, deflate_file
from gpuwheel.wheel.naming import parse_wheel_name
from gpuwheel.wheel.zip_writer import STORED, AnyEntry, Entry, write_zip

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["CopyOrder", "NewFile", "SourceWheel", "source_wheel", "write_copy"]

_BLOCK = 1 << 20
_COLUMNS = 3
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


_SEALED = 0x41
"""Bits of the flags that say encrypted, and strongly (APPNOTE.TXT, 4.4.4)."""


def _not_to_be_copied(info: zipfile.ZipInfo) -> str | None:
    """What a member is, where it is no file as any installer would unpack it."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "a special file"
    if info.flag_bits & _SEALED:
        return "an encrypted file"
    return "a file of two names" if info.orig_filename != info.filename else None


class SourceWheel:
    """A wheel on disk, open."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        hint = "download or build the file again"
        self.path = path
        self.name = parse_wheel_name(path.name)
        self._archive = Archive(file, path.name, path.stat().st_size, error=AuditError, hint=hint)
        self.infos = {info.filename: info for info in self._archive.members}
        """Every file in it, in the order of its directory."""
        for info in self.infos.values():
            # Written anew it would be a file like any other, and nobody would see what it was.
            if what := _not_to_be_copied(info):
                msg = f"{path.name} holds {what} ({cut(info.filename)}, expected files that anybody can read)"
                raise UnreadableError(msg, hint="put the file itself there, and build the wheel again")
        self.dist_info = dist_info_folder(self.infos, path.name)

    @property
    def record(self) -> str:
        """The name of its RECORD."""
        return f"{self.dist_info}/RECORD"

    @cached_property
    def rows(self) -> Mapping[str, tuple[str, str]]:
        """What RECORD says: name -> digest and size, as they are written there.

        Raises:
            AuditError: it cannot be read.
        """
        if self.record not in self.infos:
            return {}
        try:
            text = self.read(self.record).decode()
            rows = list(csv.reader(io.StringIO(text, newline="")))
        except (csv.Error, UnicodeDecodeError) as error:
            msg = f"RECORD of {self.path.name} cannot be read ({because(error)}, expected lines of path,hash,size)"
            raise AuditError(msg, hint="write it anew: gpuwheel repair --record") from error
        return {row[0]: (row[1], row[2]) for row in rows if len(row) == _COLUMNS}

    def read(self, name: str) -> bytes:
        """A text of `.dist-info`, whole.

        Raises:
            AuditError: it is damaged, or too large for one.
        """
        info = self.infos[name]
        if info.file_size > METADATA_FILE.value:
            found = METADATA_FILE.passed(f"{info.file_size:,} bytes")
            msg = f"{self.path.name} holds a {cut(name)} that is too large ({found})"
            raise AuditError(msg, hint="download or build the file again")
        return self._archive.read(info)

    def blocks(self, name: str) -> Iterator[bytes]:
        """What a file holds, in blocks; raises AuditError where it is damaged."""
        return self._archive.open(self.infos[name])

    def unpack(self, name: str, target: Path) -> None:
        """Write a file to `target`, which is new.

        Raises:
            AuditError: it is damaged.
            OSError: `target` cannot be written.
        """
        with target.open("xb") as out:
            for block in self.blocks(name):
                out.write(block)

    def entry(self, name: str) -> AnyEntry:
        """A file as it is compressed."""
        info = self.infos[name]
        return _Stream(name, _mode(info), info, lambda: self._archive.packed(info))

    def same(self, name: str, other: SourceWheel) -> bool:
        """Whether another wheel holds the same file, as both directories and both RECORDs say."""
        ours, theirs = self.infos[name], other.infos.get(name)
        if theirs is None or (ours.CRC, ours.file_size) != (theirs.CRC, theirs.file_size):
            return False
        return self.rows.get(name, ("", ""))[0] == other.rows.get(name, ("-", ""))[0]


@contextmanager
def source_wheel(path: Path) -> Iterator[SourceWheel]:
    """A wheel, open for copying.

    Raises:
        AuditError: it is not a wheel, or damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        yield SourceWheel(path, file)


@dataclass(frozen=True)
class NewFile:
    """What a wheel shall hold under a name: bytes, or the content of a file."""

    content: bytes | Path
    executable: bool = False


@dataclass(frozen=True)
class _Stream:
    """An entry whose stream is in another archive."""

    name: str
    mode: int
    info: zipfile.ZipInfo
    open: Callable[[], Iterable[bytes]]

    @property
    def method(self) -> int:
        return self.info.compress_type

    @property
    def crc(self) -> int:
        return self.info.CRC

    @property
    def size(self) -> int:
        return self.info.file_size

    @property
    def packed_size(self) -> int:
        return self.info.compress_size

    def blocks(self) -> Iterable[bytes]:
        return self.open()


@dataclass(frozen=True)
class _Packed:
    """An entry whose stream is in a file."""

    name: str
    mode: int
    method: int
    crc: int
    size: int
    packed_size: int
    path: Path

    def blocks(self) -> Iterable[bytes]:
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def _mode(info: zipfile.ZipInfo) -> int:
    # The upper half holds the mode of Unix (APPNOTE 4.4.15); of it, installers keep whether the file is executable.
    return 0o755 if info.external_attr >> 16 & 0o111 else 0o644


@dataclass
class _Copy:
    """A wheel in the making."""

    base: SourceWheel
    streams: SourceWheel
    work: Path
    pool: ThreadPoolExecutor
    rows: dict[str, tuple[str, str]]
    anew: bool
    """Whether every row of RECORD is computed from the file."""

    def entries(self, files: Mapping[str, NewFile], removed: Collection[str]) -> Iterator[AnyEntry]:
        folder, record = self.base.dist_info, self.base.record
        void = {record, *(f"{folder}/{name}" for name in _SIGNATURES), *removed}
        names = (self.base.infos.keys() | files.keys()) - void
        # .dist-info at the end, RECORD last of all, as the writer of builds has it.
        for name in sorted(names, key=lambda name: (name.startswith(f"{folder}/"), name)):
            yield self._new(name, files[name]) if name in files else self._kept(name)
        listed = {name: row for name, row in self.rows.items() if name not in void}
        data = _record(listed, record)
        method, stream = deflate_bytes(data)
        yield Entry(record, 0o644, method, crc32(data), len(data), stream)

    def _kept(self, name: str) -> AnyEntry:
        base = self.base
        if self.anew:
            sha256 = hashlib.sha256()
            for block in base.blocks(name):
                sha256.update(block)
            self.rows[name] = as_recorded(sha256.digest()), str(base.infos[name].file_size)
        if base is self.streams or base.same(name, self.streams):
            return self.streams.entry(name)
        path = self.work / f"{len(self.rows)}-{base.infos[name].CRC:08x}.unpacked"
        base.unpack(name, path)
        return self._new(name, NewFile(path, executable=bool(_mode(base.infos[name]) & 0o111)))

    def _new(self, name: str, new: NewFile) -> AnyEntry:
        mode = 0o755 if new.executable else 0o644
        if isinstance(new.content, bytes):
            data = new.content
            method, stream = deflate_bytes(data)
            self.rows[name] = as_recorded(hashlib.sha256(data).digest()), str(len(data))
            return Entry(name, mode, method, crc32(data), len(data), stream)
        packed = new.content.with_name(f"{new.content.name}.packed")
        with new.content.open("rb") as source, packed.open("wb") as out:
            done = deflate_file(source, out, self.pool)
        self.rows[name] = as_recorded(done.sha256), str(done.size)
        path = new.content if done.method == STORED else packed
        (packed if done.method == STORED else new.content).unlink()  # disks are small beside wheels
        return _Packed(name, mode, done.method, done.crc, done.size, done.packed_size, path)


@dataclass(frozen=True)
class CopyOrder:
    """What a copy shall be."""

    files: Mapping[str, NewFile]
    """New or changed ones, by name."""
    removed: Collection[str] = ()
    epoch: int | None = None
    """Time of all members, seconds since 1970 (SOURCE_DATE_EPOCH); 1980-01-01 when not given."""
    record: bool = False
    """Whether each row of RECORD is computed anew, which reads every file; else only those of `files` are."""


def write_copy(target: Path, base: SourceWheel, order: CopyOrder, work: Path, *, streams: SourceWheel) -> None:
    """Write a wheel that is `base` but for what is ordered.

    Args:
        target: The finished file; its folder exists.
        base: Whose files it holds.
        order: What is different.
        work: A folder for what is compressed, which is the caller's to remove.
        streams: The wheel of which compressed streams are copied, where it holds the same file: `base`, or what that
            was made from by a tool which compresses everything anew.

    Raises:
        AuditError: a wheel is damaged, or its RECORD cannot be read.
        OSError: the file cannot be written; nothing is left behind.
    """
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool, atomic_file(target) as out:
        rows = {} if order.record else dict(base.rows)
        copy = _Copy(base, streams, work, pool, rows, order.record)
        epoch = DEFAULT_EPOCH if order.epoch is None else order.epoch
        write_zip(out.unhashed, copy.entries(order.files, order.removed), epoch=epoch)


def _record(rows: Mapping[str, tuple[str, str]], name: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((path, *row) for path, row in rows.items())
    writer.writerow((name, "", ""))
    return text.getvalue().encode()
