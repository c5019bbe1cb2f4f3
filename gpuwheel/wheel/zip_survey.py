"""What a ZIP archive says of itself, twice: in its central directory and before each member (PKWARE APPNOTE 6.3.10).

Readers believe one or the other: `zipfile`, and with it pip, the directory; readers of streams the local headers. Here
both are read, and what lies between them is measured; nothing is unpacked. What is out of bounds ends the survey: then
the archive cannot be read at all, and who opens it says so.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gpuwheel._limits import ARCHIVE_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Gap", "LocalHeader", "SurveyedMember", "ZipSurvey", "survey_zip"]

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_LOCATOR = struct.Struct("<IIQI")
_END_64 = struct.Struct("<IQHHIIQQQQ")
_SIGNATURES = {"local": 0x04034B50, "central": 0x02014B50, "locator": 0x07064B50, "end64": 0x06064B50}
_END_SIGNATURE = b"PK\5\6"
_DESCRIPTOR = b"PK\7\x08"
_ALL_16, _ALL_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64, _UNICODE_PATH = 1, 0x7075
"""Extra fields: sizes beyond 4 GiB; another name of the member (Info-ZIP)."""
_UNICODE_NAME_AT = 5
"""Behind its version and a CRC-32."""
_STREAMED, _UTF8 = 0x8, 0x800
"""General purpose bits (4.4.4): sizes behind the data; the name is UTF-8."""
_ENCRYPTED = 0x41
_METHODS = (0, 8)
_LONGEST_COMMENT = 0xFFFF
_COMPARED = 0x1 | _STREAMED | 0x40 | _UTF8 | 0x2000
"""Of the bits: encryption, where sizes are, how the name is coded. The others are hints of the compressor."""


@dataclass(frozen=True)
class LocalHeader:
    """The header in front of a member."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    start: int
    """Where the member's data begins, in bytes from the start of the file."""
    unicode_name: bytes | None = None
    """Another name, in an extra field."""


@dataclass(frozen=True)
class SurveyedMember:
    """One entry of the central directory; `raw_name` as it is written, `name` as `zipfile` reads it."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    """Of the local header, in bytes from the start of the file."""
    mode: int
    """Of Unix: kind of file and permissions; 0 where the archive says none."""
    date: int
    """As MS-DOS writes it."""
    comment: bytes = b""
    unicode_name: bytes | None = None
    local: LocalHeader | None = None
    """`None`: there is none where the directory says."""

    @cached_property
    def name(self) -> str:
        """As pip reads it, up to a NUL; what is not UTF-8 against its flag is escaped."""
        coding = "utf-8" if self.flags & _UTF8 else "cp437"
        return self.raw_name.decode(coding, "backslashreplace")

    @property
    def is_folder(self) -> bool:
        """Whether it is an entry of a folder, which holds nothing."""
        return self.raw_name.endswith(b"/")

    @property
    def is_sealed(self) -> bool:
        """Whether no installer can unpack it: encrypted, or neither stored nor deflated."""
        return bool(self.flags & _ENCRYPTED) or self.method not in _METHODS

    @property
    def differences(self) -> Iterator[tuple[str, str, str]]:
        """`(what, in the directory, before the member)` where the two disagree."""
        local = self.local
        if local is None:
            return
        if self.raw_name != local.raw_name:
            yield "name", ascii(self.name), ascii(local.raw_name.decode("utf-8", "backslashreplace"))
        if self.method != local.method:
            yield "method", str(self.method), str(local.method)
        if (self.flags ^ local.flags) & _COMPARED:
            yield "flags", f"{self.flags & _COMPARED:#x}", f"{local.flags & _COMPARED:#x}"
        streamed = local.flags & _STREAMED and not (local.crc or local.packed or local.size)
        if streamed:  # they are behind the data
            return
        for what, mine, theirs in (
            ("compressed size", self.packed, local.packed),
            ("size", self.size, local.size),
            ("CRC-32", self.crc, local.crc),
        ):
            if mine != theirs:
                yield what, str(mine), str(theirs)


@dataclass(frozen=True)
class Gap:
    """Bytes that belong to no member and no table."""

    offset: int
    size: int
    place: str
    """Where, for people."""


@dataclass(frozen=True)
class ZipSurvey:
    """What was read of an archive."""

    members: tuple[SurveyedMember, ...]
    """In the order of the directory, folders as well."""
    gaps: tuple[Gap, ...] = ()
    overlaps: tuple[tuple[str, str], ...] = ()
    """Pairs of members that share bytes."""
    comment: bytes = b""
    problems: tuple[str, ...] = field(default=())
    """What its end says that is not so."""

    @cached_property
    def files(self) -> tuple[SurveyedMember, ...]:
        """Its members but folders."""
        return tuple(member for member in self.members if not member.is_folder)


class _Broken(Exception):  # noqa: N818 (control flow, caught in this module)
    """The archive cannot be read on."""


def survey_zip(path: Path) -> ZipSurvey | None:
    """Read every header of an archive; `None` where that is not possible, because it is none, damaged or too large."""
    with path.open("rb", buffering=0) as file:
        try:
            return _Reader(file.fileno(), path.stat().st_size).survey()
        except _Broken:
            return None


@dataclass(frozen=True)
class _End:
    """The end of central directory, of either size."""

    at: int
    """Of the first record of the end."""
    count: int
    size: int
    offset: int
    comment: bytes
    trailing: int
    problems: tuple[str, ...]


class _Reader:
    def __init__(self, file: int, size: int) -> None:
        self._file, self._size = file, size

    def survey(self) -> ZipSurvey:
        end = self._end()
        start = end.at - end.size  # as zipfile finds it, whatever the offset says
        shift = start - end.offset
        if start < 0 or shift < 0:
            raise _Broken
        members = tuple(self._members(start, end, shift))
        gaps, overlaps = self._areas(members, start)
        problems = list(end.problems)
        if len(members) != end.count:
            problems.append(f"says {end.count} members and lists {len(members)}")
        # What is in front of the archive, and no offset counts, is a gap already.
        if shift and not any(gap.offset == 0 and gap.size == shift for gap in gaps):
            problems.append(f"says that the directory is at byte {end.offset}, and it is at {start}")
        if end.trailing:
            gaps.append(Gap(self._size - end.trailing, end.trailing, "behind the end of the archive"))
        return ZipSurvey(members, tuple(gaps), tuple(overlaps), end.comment, tuple(problems))

    def _read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._file, size, offset) if 0 <= offset <= self._size else b""
        if len(data) != size:
            raise _Broken
        return data

    def _end(self) -> _End:
        reach = min(self._size, _END.size + _LONGEST_COMMENT)
        tail = self._read(self._size - reach, reach)
        # As zipfile: an end without a comment at the very end, else the last signature.
        at = len(tail) - _END.size if tail[-_END.size :].startswith(_END_SIGNATURE) and tail[-2:] == b"\0\0" else -1
        at = at if at >= 0 else tail.rfind(_END_SIGNATURE)
        if at < 0 or at + _END.size > len(tail):
            raise _Broken
        _, disk, first, here, count, size, offset, length = _END.unpack_from(tail, at)
        comment = tail[at + _END.size : at + _END.size + length]
        trailing = len(tail) - at - _END.size - len(comment)
        problems = ["says that it is one of several disks"] if (disk, first) not in {(0, 0), (_ALL_16, _ALL_16)} else []
        if here != count:
            problems.append(f"says {count} members, {here} of them in this file")
        place = self._size - reach + at
        found = _End(place, count, size, offset, comment, trailing, tuple(problems))
        return self._end_64(found) or found

    def _end_64(self, short: _End) -> _End | None:
        at = short.at - _LOCATOR.size
        if at < 0:
            return None
        signature, _, offset, _ = _LOCATOR.unpack(self._read(at, _LOCATOR.size))
        if signature != _SIGNATURES["locator"]:
            return None
        problems = list(short.problems)
        # zipfile looks right before the locator, others where the locator says.
        place = at - _END_64.size
        head = self._read(place, _END_64.size) if place >= 0 else bytes(_END_64.size)
        if head[:4] != struct.pack("<I", _SIGNATURES["end64"]):
            raise _Broken
        if offset != place:
            problems.append(f"says that its ZIP64 end is at byte {offset}, and it is at {place}")
        _, length, _, _, _, _, here, count, size, start = _END_64.unpack(head)
        if length != _END_64.size - 12:
            problems.append("has a ZIP64 end with further data")
        for what, narrow, wide, most in (
            ("members", short.count, count, _ALL_16),
            ("bytes of the directory", short.size, size, _ALL_32),
            ("as the directory's place", short.offset, start, _ALL_32),
        ):
            if narrow not in {wide, most}:
                problems.append(f"says {narrow} {what} in one end, and {wide} in its ZIP64 end")
        if here != count:
            problems.append(f"says {count} members, {here} of them in this file")
        return _End(place, count, size, start, short.comment, short.trailing, tuple(problems))

    def _members(self, start: int, end: _End, shift: int) -> Iterator[SurveyedMember]:
        table, at, read = self._read(start, end.size), 0, 0
        while at + _CENTRAL.size <= len(table):
            signature, _, _, flags, method, _, date, crc, packed, size, *rest = _CENTRAL.unpack_from(table, at)
            named, extra_size, comment_size, _, _, attributes, offset = rest
            read += 1
            if signature != _SIGNATURES["central"] or read > ARCHIVE_MEMBERS.value:
                raise _Broken
            name_at = at + _CENTRAL.size
            raw, extra = table[name_at : name_at + named], table[name_at + named : name_at + named + extra_size]
            fields = dict(_extra_fields(extra))
            wide = iter(_numbers(fields.get(_ZIP64, b"")))
            # Only what does not fit is in the extra field, in this order (4.5.3).
            size, packed, offset = (next(wide, each) if each == _ALL_32 else each for each in (size, packed, offset))
            at = name_at + named + extra_size + comment_size
            comment = table[at - comment_size : at]
            place = offset + shift
            local, other = self._local(place, len(raw)), _unicode_name(fields, raw)
            yield SurveyedMember(
                *(raw, flags, method, crc, packed, size, place, attributes >> 16, date, comment, other, local)
            )

    def _local(self, offset: int, expected: int) -> LocalHeader | None:
        # A little more than the header, so that most take one call.
        most = min(_LOCAL.size + expected + 64, max(0, self._size - offset))
        head = self._read(offset, most) if most >= _LOCAL.size else b""
        if len(head) < _LOCAL.size:
            return None
        signature, _, flags, method, _, _, crc, packed, size, named, extra_size = _LOCAL.unpack_from(head)
        length = _LOCAL.size + named + extra_size
        if signature != _SIGNATURES["local"] or offset + length > self._size:
            return None
        if length > len(head):
            head = self._read(offset, length)
        raw = head[_LOCAL.size : _LOCAL.size + named]
        fields = dict(_extra_fields(head[_LOCAL.size + named : length]))
        wide = iter(_numbers(fields.get(_ZIP64, b"")))
        size, packed = (next(wide, each) if each == _ALL_32 else each for each in (size, packed))
        return LocalHeader(raw, flags, method, crc, packed, size, offset + length, _unicode_name(fields, raw))

    def _areas(self, members: tuple[SurveyedMember, ...], end: int) -> tuple[list[Gap], list[tuple[str, str]]]:
        """What lies between members, and which share bytes."""
        gaps: list[Gap] = []
        overlaps: list[tuple[str, str]] = []
        reached, before = 0, ""
        for member in sorted(members, key=lambda member: member.offset):
            if member.offset > reached:
                place = f"behind {before}" if before else "before the first member"
                gaps.append(Gap(reached, member.offset - reached, place))
            elif member.offset < reached:
                overlaps.append((before, member.name))
            past = self._past(member)
            if past >= reached:
                reached, before = past, member.name
        if reached < end:
            gaps.append(Gap(reached, end - reached, f"behind {before}" if before else "before the directory"))
        elif reached > end:
            overlaps.append((before, "the directory"))
        return gaps, overlaps

    def _past(self, member: SurveyedMember) -> int:
        """The first byte behind a member."""
        if member.local is None:
            return member.offset
        past = member.local.start + member.packed
        if not member.local.flags & _STREAMED:
            return past
        most = min(24, self._size - past)
        tail = self._read(past, most) if most > 0 else b""
        # The signature is optional, and sizes have 4 or 8 bytes (4.3.9).
        for mark in (_DESCRIPTOR, b""):
            for form in ("<III", "<IQQ"):
                said = mark + struct.pack(form, member.crc, *_fit(form, member))
                if tail.startswith(said):
                    return past + len(said)
        return past


def _fit(form: str, member: SurveyedMember) -> tuple[int, int]:
    most = _ALL_32 if form == "<III" else 2**64 - 1
    return min(member.packed, most), min(member.size, most)


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + size]
        at += 4 + size


def _numbers(field: bytes) -> tuple[int, ...]:
    count = min(3, len(field) // 8)
    return struct.unpack_from(f"<{count}Q", field)


def _unicode_name(fields: dict[int, bytes], raw: bytes) -> bytes | None:
    """The name of the extra field, where it is for this name and another."""
    data = fields.get(_UNICODE_PATH, b"")
    if len(data) <= _UNICODE_NAME_AT or int.from_bytes(data[1:5], "little") != zlib.crc32(raw):
        return None
    name = data[_UNICODE_NAME_AT:]
    return name if name != raw else None
