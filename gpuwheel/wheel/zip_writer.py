"""Writing a ZIP archive from finished entries: same entries, same bytes (PKWARE APPNOTE 6.3.10, with ZIP64).

The standard library's `zipfile` cannot write a member that is already compressed, which both deflating in parallel
and copying a stream unchanged need; hence the fifty lines of structures here.
"""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEFLATED", "STORED", "AnyEntry", "Entry", "Sink", "deflate", "write_zip"]

STORED = 0
DEFLATED = 8

_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
# APPNOTE 4.4.3.2: 2.0 for DEFLATE, 4.5 for ZIP64.
_VERSION, _VERSION_ZIP64 = 20, 45
# 4.4.2: so that readers take a mode out of the external attributes.
_MADE_BY_UNIX = 3 << 8
# General purpose bit 11 (4.4.4): else names are in code page 437.
_UTF8_NAME = 0x800
_REGULAR_FILE = 0o100000
_FIRST_TIME, _LAST_TIME = 315532800, 4354819198
"""1980-01-01 and 2107-12-31T23:59:58 UTC: what a DOS time can say."""


class Sink(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> object:
        """Append `data`."""


@dataclass(frozen=True)
class Entry:
    """One member as the archive holds it: sizes in bytes, `stream` as `method` (STORED or DEFLATED) wrote it."""

    name: str
    mode: int
    """Permission bits, for example 0o644."""
    method: int
    crc: int
    size: int
    """Bytes before compression."""
    stream: bytes

    @property
    def packed_size(self) -> int:
        """Bytes of the stream."""
        return len(self.stream)

    def blocks(self) -> Iterable[bytes]:
        """The stream."""
        return (self.stream,)


class AnyEntry(Protocol):
    """One member, whose stream may be elsewhere until it is written."""

    @property
    def name(self) -> str:
        """Path inside the archive."""

    @property
    def mode(self) -> int:
        """Permission bits."""

    @property
    def method(self) -> int:
        """STORED or DEFLATED."""

    @property
    def crc(self) -> int:
        """CRC-32 before compression."""

    @property
    def size(self) -> int:
        """Bytes before compression."""

    @property
    def packed_size(self) -> int:
        """Bytes of the stream."""

    def blocks(self) -> Iterable[bytes]:
        """The stream, a piece at a time."""


def deflate(data: bytes, level: int) -> tuple[int, bytes]:
    """`(method, stream)` of `data`: raw DEFLATE, or stored where that is not smaller."""
    # Negative: the bare stream, without the header and checksum of zlib, as ZIP holds it.
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream = compressor.compress(data) + compressor.flush()
    return (DEFLATED, stream) if len(stream) < len(data) else (STORED, data)


def write_zip(out: Sink, entries: Iterable[AnyEntry], *, epoch: int) -> None:
    """Write an archive of `entries`, in their order, all with one time.

    Args:
        out: Where to write; only `write` is used.
        entries: Members; names are unique.
        epoch: Seconds since 1970 (UTC), clamped to 1980 .. 2107 and to even seconds.
    """
    stamp = _dos_time(epoch)
    offset = 0
    directory = bytearray()
    count = 0
    for entry in entries:
        header = _local_header(entry, stamp)
        directory += _central_header(entry, stamp, offset)
        out.write(header)
        for block in entry.blocks():
            out.write(block)
        offset += len(header) + entry.packed_size
        count += 1
    out.write(bytes(directory))
    out.write(_end(count, len(directory), offset))


def _dos_time(epoch: int) -> tuple[int, int]:
    moment = time.gmtime(min(max(epoch, _FIRST_TIME), _LAST_TIME))
    # MS-DOS counts two seconds at a time, and years from 1980 (4.4.6).
    clock = moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2
    return clock, (moment.tm_year - 1980) << 9 | moment.tm_mon << 5 | moment.tm_mday


def _zip64_extra(*values: int) -> bytes:
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""


def _name(entry: AnyEntry) -> tuple[bytes, int]:
    name = entry.name.encode()
    return name, 0 if name.isascii() else _UTF8_NAME


def _local_header(entry: AnyEntry, stamp: tuple[int, int]) -> bytes:
    name, flags = _name(entry)
    sizes = entry.packed_size, entry.size
    # >=: the largest number itself means "look into the ZIP64 field" (4.4.8).
    wide = max(sizes) >= _MAX_32
    # A local header that needs ZIP64 must give both sizes there (APPNOTE 4.5.3).
    extra = _zip64_extra(entry.size, entry.packed_size) if wide else b""
    shown = (_MAX_32, _MAX_32) if wide else sizes
    version = _VERSION_ZIP64 if wide else _VERSION
    fields = (0x04034B50, version, flags, entry.method, *stamp, entry.crc, *shown, len(name), len(extra))
    return struct.pack("<IHHHHHIIIHH", *fields) + name + extra


def _central_header(entry: AnyEntry, stamp: tuple[int, int], offset: int) -> bytes:
    name, flags = _name(entry)
    # Only what does not fit, in this order (APPNOTE 4.5.3).
    extra = _zip64_extra(*(value for value in (entry.size, entry.packed_size, offset) if value >= _MAX_32))
    version = _VERSION_ZIP64 if extra else _VERSION
    fields = (
        *(0x02014B50, _MADE_BY_UNIX | version, version, flags, entry.method, *stamp, entry.crc),
        *(min(entry.packed_size, _MAX_32), min(entry.size, _MAX_32), len(name), len(extra)),
        *(0, 0, 0, (_REGULAR_FILE | entry.mode) << 16, min(offset, _MAX_32)),
    )
    return struct.pack("<IHHHHHHIIIHHHHHII", *fields) + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    short = struct.pack(
        "<IHHHHIIH",
        *(0x06054B50, 0, 0, min(count, _MAX_16), min(count, _MAX_16), min(size, _MAX_32), min(offset, _MAX_32), 0),
    )
    if count < _MAX_16 and size < _MAX_32 and offset < _MAX_32:
        return short
    wide = struct.pack(
        "<IQHHIIQQQQ",
        # 44: the size of the record from behind this field on (4.3.14.1).
        *(0x06064B50, 44, _MADE_BY_UNIX | _VERSION_ZIP64, _VERSION_ZIP64, 0, 0, count, count, size, offset),
    )
    locator = struct.pack("<IIQI", 0x07064B50, 0, offset + size, 1)
    # The short record stays last in any case: readers look for it from the end.
    return wide + locator + short
