"""Reading ZIP archives that nobody vouches for (PKWARE APPNOTE 6.3.10): what a header says is checked, then believed.

`zipfile` reads the central directory. What it leaves open is decided here: names, sizes and their sum, members that
overlap, methods, and how much a member may become before it is known to be wrong.
"""

from __future__ import annotations

import io
import itertools
import struct
import zipfile
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from gpuwheel._deflate import crc32, raw_decompressor
from gpuwheel._endings import cut, reading
from gpuwheel._limits import ARCHIVE_EXPANSION, ARCHIVE_MEMBERS, ARCHIVE_SMALL, FILE_NAME, PATH_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from gpuwheel.errors import GpuwheelError

__all__ = ["STORED_OR_DEFLATED", "Archive", "clashing_names", "inflate", "is_safe_name"]

STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The methods that installers must read (binary distribution format)."""

_LOCAL = struct.Struct("<I22xHH")
"""Signature, length of the name, length of the extra field; 30 bytes in all."""
_LOCAL_SIGNATURE = 0x04034B50
_ENCRYPTED = 0x1
_BLOCK = 1 << 20


class Archive:
    """The files of a ZIP archive, in the order of its central directory; folders are left out."""

    def __init__(
        self, file: IO[bytes], name: str, size: int, *, error: type[GpuwheelError], hint: str, strict: bool = True
    ) -> None:
        """Read the directory.

        Args:
            file: the archive, seekable.
            name: what to call it in messages.
            size: bytes of the whole file.
            error: what to raise.
            hint: what to do about it.
            strict: whether to refuse names that are unsafe, long or repeated, and members that overlap. Who unpacks
                nothing to disk may go on without, and say so itself: of two members of one name the last counts.

        Raises:
            GpuwheelError: of the class `error`: not a ZIP archive, an unsafe, long or repeated name, or a bound that
                is passed.
        """
        self._file, self._name, self._size = file, name, size
        self._error, self._hint = error, hint
        with self._reading(), zipfile.ZipFile(file) as archive:
            self.directory_at = archive.start_dir
            self.members = [info for info in archive.infolist() if not info.is_dir()]
        self._check_bounds()
        if strict:
            self._check_names()
            self._check_places()

    def open(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """What a member holds, in blocks; its size and CRC-32 are checked with the last.

        Raises:
            GpuwheelError: it is damaged, or not what its header says.
        """
        with self._reading():
            yield from _checked(member, self._stream(member))

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """What a member holds; raises what `open` raises."""
        return _joined(self.open(member))

    def read_both(self, member: zipfile.ZipInfo) -> tuple[bytes, bytes]:
        """What a member holds, and that as it is compressed in the archive; raises what `open` raises."""
        with self._reading():
            # In blocks: zlib copies what it has not yet taken of a piece, time and again.
            stream = list(self._stream(member))
            return _joined(_checked(member, stream)), b"".join(stream)

    def packed(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """A member as it is compressed in the archive, in blocks: nothing of it is inflated, or checked.

        Raises:
            GpuwheelError: it is not where the directory says, encrypted, cut short, or of a method that installers need
                not read.
        """
        if member.compress_type not in STORED_OR_DEFLATED:
            msg = f"holds {cut(member.filename)} by a method that installers do not read ({member.compress_type})"
            raise self.refuse(msg)
        with self._reading():
            yield from self._stream(member)

    def pairs(self, member: zipfile.ZipInfo) -> Iterator[tuple[bytes, bytes]]:
        """A member in blocks as they are packed in the archive, each with what it unpacks to; either may be empty.

        What is packed is one whole stream of the member's method and nothing behind it: it can be copied elsewhere.

        Raises:
            GpuwheelError: what `open` raises, or bytes are behind the end of the stream.
        """
        with self._reading():
            stream = self._stream(member)
            if member.compress_type == zipfile.ZIP_STORED:
                yield from ((block, block) for block in _checked(member, stream))
            else:
                yield from _inflated_pairs(member, stream)

    def refuse(self, problem: str) -> GpuwheelError:
        """The error for an archive that is one, and not fit for use."""
        return self._error(f"{self._name} {problem}", hint=self._hint)

    def reading_member(self, member: zipfile.ZipInfo) -> AbstractContextManager[None]:
        """What goes wrong inside is told of this member."""
        name, expected = cut(member.filename), "a whole member, stored or deflated"
        return reading(f"{name} cannot be unpacked", expected, error=self._error, hint=self._hint)

    def _reading(self) -> AbstractContextManager[None]:
        return reading(
            f"{self._name} is not a readable wheel",
            "a ZIP archive with deflated members",
            error=self._error,
            hint=self._hint,
        )

    def stream_at(self, member: zipfile.ZipInfo) -> int:
        """Where the compressed bytes of a member begin; what lies before them is checked.

        Raises:
            zipfile.BadZipFile: it is not there, or encrypted.
        """
        # zipfile gives negative places where the beginning is missing, and any up to 2**64, which no file takes.
        inside = 0 <= member.header_offset < self.directory_at
        self._file.seek(member.header_offset if inside else self.directory_at)
        signature, name_size, extra_size = _LOCAL.unpack(self._file.read(_LOCAL.size).ljust(_LOCAL.size))
        start = member.header_offset + _LOCAL.size + name_size + extra_size
        if signature != _LOCAL_SIGNATURE or not inside or start + member.compress_size > self.directory_at:
            msg = f"{cut(member.filename)} is not where the directory says"
            raise zipfile.BadZipFile(msg)
        if member.flag_bits & _ENCRYPTED:
            msg = f"{cut(member.filename)} is encrypted"
            raise zipfile.BadZipFile(msg)
        return int(start)

    def raw(self, at: int, size: int) -> bytes:
        """Bytes of the file, all of them.

        Raises:
            zipfile.BadZipFile: the file is shorter.
        """
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) < size:
            msg = "the file is cut short"
            raise zipfile.BadZipFile(msg)
        return data

    def _stream(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """The compressed bytes."""
        start = self.stream_at(member)
        for at in range(start, start + member.compress_size, _BLOCK):
            yield self.raw(at, min(start + member.compress_size - at, _BLOCK))

    def _check_bounds(self) -> None:
        if len(self.members) > ARCHIVE_MEMBERS.value:
            msg = f"holds too many files ({ARCHIVE_MEMBERS.passed(f'{len(self.members):,}')})"
            raise self.refuse(msg)
        total = sum(member.file_size for member in self.members)
        if total > max(ARCHIVE_SMALL.value, ARCHIVE_EXPANSION.value * self._size):
            found = f"{total:,} bytes from {self._size:,}"
            msg = f"unpacks to far more than it holds ({ARCHIVE_EXPANSION.passed(found)})"
            raise self.refuse(msg)

    def _check_names(self) -> None:
        seen: set[str] = set()
        for member in self.members:
            name = member.filename
            if not is_safe_name(name):
                problem = f"holds a member with an unsafe name ({cut(ascii(name))}, expected a path inside the wheel)"
                msg = f"{self._name} {problem}"
                raise self._error(msg, hint="do not install this file")
            # Readers differ in which of two they take: what was checked might not be what is installed.
            if name in seen:
                msg = f"holds {cut(name)} twice (each name must occur once)"
                raise self.refuse(msg)
            seen.add(name)
        if clash := clashing_names(seen):
            msg = f"holds {cut(clash)} as a file and as a folder (expected one of them)"
            raise self.refuse(msg)

    def _check_places(self) -> None:
        end, before = 0, ""
        for member in sorted(self.members, key=lambda member: member.header_offset):
            if member.header_offset < 0:
                msg = f"lacks its first bytes (the directory says that {cut(member.filename)} lies before the file)"
                raise self.refuse(msg)
            # Members that share bytes are how a small archive unpacks to petabytes (David Fifield, "A better zip
            # bomb").
            if member.header_offset < end:
                msg = f"holds members that overlap ({cut(before)} and {cut(member.filename)})"
                raise self.refuse(msg)
            # Name and extra field of a local header may be others, so this is the least that a member takes.
            end, before = member.header_offset + _LOCAL.size + member.compress_size, member.filename


def _joined(blocks: Iterable[bytes]) -> bytes:
    """Their bytes, without a second copy at any time: `b"".join` would hold the blocks and the whole."""
    held = io.BytesIO()
    held.writelines(blocks)
    return held.getvalue()


def _checked(member: zipfile.ZipInfo, stream: Iterable[bytes]) -> Iterator[bytes]:
    left, crc = member.file_size, 0
    for block in inflate(member.compress_type, stream, left):
        left -= len(block)
        crc = crc32(block, crc)
        yield block
    if left or crc != member.CRC:
        msg = f"bad CRC-32 or size of {cut(member.filename)}"
        raise zipfile.BadZipFile(msg)


def _inflated_pairs(member: zipfile.ZipInfo, stream: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    if member.compress_type != zipfile.ZIP_DEFLATED:
        msg = f"ZIP method {member.compress_type}"
        raise NotImplementedError(msg)
    left, crc, engine = member.file_size, 0, raw_decompressor()
    for piece in itertools.chain(stream, [b""]):  # at last, for what the engine still holds
        packed = data = piece
        while (data or not piece) and not engine.eof and left >= 0:
            block = engine.decompress(data, _BLOCK)
            data = engine.unconsumed_tail
            left, crc = left - len(block), crc32(block, crc)
            yield packed, block
            packed = b""
            if not block and not piece:
                break
        if packed or engine.unused_data:
            msg = f"{cut(member.filename)} has bytes behind its end"
            raise zipfile.BadZipFile(msg)
    if left or crc != member.CRC or not engine.eof:
        msg = f"bad CRC-32 or size of {cut(member.filename)}"
        raise zipfile.BadZipFile(msg)


def is_safe_name(name: str) -> bool:
    """Whether a member's name is a plain relative path that every file system of Linux takes."""
    path = PurePosixPath(name)
    return not (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or str(path) != name
        or "\\" in name
        # "C:" is a drive elsewhere; "\" divides folders there.
        or ":" in path.parts[0]
        or not name.isprintable()
        or len(name) > PATH_NAME.value
        or any(len(part.encode("utf-8", "surrogatepass")) > FILE_NAME.value for part in path.parts)
    )


def clashing_names(names: Iterable[str]) -> str | None:
    """A name that is a file and, in another name, a folder."""
    files = set(names)
    for name in files:
        at = name.rfind("/")
        while at > 0:
            if name[:at] in files:
                return name[:at]
            at = name.rfind("/", 0, at)
    return None


def inflate(method: int, stream: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The bytes before compression, at most one more than `size`, so that a wrong size shows.

    Raises:
        what `_deflate.ERRORS` lists, EOFError: the stream is damaged.
        NotImplementedError: `method` is neither stored nor deflated.
    """
    if method not in STORED_OR_DEFLATED:
        msg = f"ZIP method {method}"
        raise NotImplementedError(msg)
    if method == zipfile.ZIP_STORED:
        yield from stream
        return
    left, engine = size + 1, raw_decompressor()
    for piece in stream:
        data = piece
        while data and left > 0 and not engine.eof:
            block = engine.decompress(data, min(left, _BLOCK))
            data = engine.unconsumed_tail
            left -= len(block)
            yield block
    if left > 0 and not engine.eof:
        block = engine.flush()
        yield block
        if not engine.eof:
            msg = "the compressed stream is cut short"
            raise EOFError(msg)
