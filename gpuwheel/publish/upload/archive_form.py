"""How a wheel is packed, as PyPI's server looks at it (warehouse/utils/zipfiles.py): one reading for every reader.

Archives that a reader of the central directory and a reader of the stream would see differently are refused there.
"""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING

from gpuwheel._endings import cut, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ArchiveForm", "archive_form"]

_LOCAL = struct.Struct("<4s2xH18xHH")
"""Signature, flags, length of the name, length of the extra field (APPNOTE 4.3.7)."""
_SIGNATURE = b"PK\x03\x04"
_DATA_DESCRIPTOR = 0x8
_END = struct.Struct("<4s16xH")
"""Signature and length of the comment of the last record (APPNOTE 4.3.16)."""
_END_SIGNATURE = b"PK\x05\x06"
_LARGEST_COMMENT = 0xFFFF


@dataclass(frozen=True)
class ArchiveForm:
    """What can be said of an archive without unpacking it."""

    unpacked: int = 0
    """Bytes of all members."""
    oddities: tuple[str, ...] = ()
    """What not every reader sees alike, as sentences without a subject."""


def archive_form(path: Path) -> ArchiveForm:
    """Look at the records of a ZIP archive.

    Raises:
        AuditError: it is none.
    """
    with (
        reading(f"{path.name} is not a readable wheel", "a ZIP archive", hint="build the wheel again"),
        path.open("rb") as file,
        zipfile.ZipFile(file) as archive,
    ):
        members = sorted(archive.infolist(), key=lambda member: member.header_offset)
        unpacked = sum(member.file_size for member in members)
        odd = [*_records(file, members, archive.start_dir), *_ending(file, path.stat().st_size)]
        return ArchiveForm(unpacked, tuple(dict.fromkeys(odd)))


def _records(file: IO[bytes], members: list[zipfile.ZipInfo], directory: int) -> Iterator[str]:
    """Members in the order in which they lie: each begins where the one before it ends."""
    expected = 0
    for member in members:
        # Negative where the archive lacks its beginning; ZIP64 has places that no file takes.
        file.seek(min(max(0, member.header_offset), directory))
        signature, flags, name, extra = _LOCAL.unpack(file.read(_LOCAL.size).ljust(_LOCAL.size))
        if signature != _SIGNATURE or member.header_offset != expected:
            yield f"has bytes between its members that are none of them (before {cut(member.filename)})"
        if flags & _DATA_DESCRIPTOR:
            yield f"was written as a stream, with sizes behind the members (found {cut(member.filename)})"
        if member.comment:
            yield f"has comments at its members (found {cut(member.filename)})"
        if any(ord(character) < ord(" ") or character == "\x7f" for character in member.orig_filename):
            yield f"has control characters in a name (found {cut(ascii(member.orig_filename))})"
        expected = member.header_offset + _LOCAL.size + name + extra + member.compress_size
    if members and expected != directory and not any(m.flag_bits & _DATA_DESCRIPTOR for m in members):
        yield "has bytes between its members and its directory"
    for one, other in pairwise(sorted(member.filename for member in members)):
        if one == other:
            yield f"has two members of one name (found {cut(one)})"


def _ending(file: IO[bytes], size: int) -> Iterator[str]:
    start = max(0, size - _END.size - _LARGEST_COMMENT)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) < at + _END.size:
        yield "has no record at its end"
        return
    _, comment = _END.unpack_from(tail, at)
    if start + at + _END.size + comment != size:
        yield "has bytes behind its end"
