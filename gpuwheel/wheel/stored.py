"""One file of a wheel on disk: read at any place, and never held whole.

A DEFLATE stream (RFC 1951) can be read from its beginning alone; on the first way through it, which also takes the
digest and the CRC-32, copies of the engine are kept at some places, and what is asked for later is read from the
nearest one. So a library of gigabytes is inflated once and a little more, in a few megabytes.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuwheel._archives import STORED_OR_DEFLATED
from gpuwheel._deflate import crc32, raw_decompressor
from gpuwheel._endings import DAMAGE, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel._archives import Archive

__all__ = ["Blocks", "StoredMember", "as_recorded"]

_BLOCK = 1 << 20
_PIECE, _FETCHED = 1 << 14, 1 << 18
"""What is inflated at a time: an engine keeps what it has not yet taken, and copies of it keep that too. How much is
read of the file at a time."""
_HELD = 32
"""Blocks of all members together that are kept in case they are asked for again."""
_PLACES, _APART = 128, 4
"""Copies of the engine, of about 50 KB, that a member may have; the least number of blocks between two."""


def as_recorded(digest: bytes) -> str:
    """A SHA-256 as RECORD writes it."""
    # Binary distribution format, "Signed wheel files": urlsafe-b64encode-nopad.
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Blocks:
    """The blocks that were read last, of all members of a wheel."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def get(self, key: tuple[int, int]) -> bytes | None:
        """A block, if it is still there: of a member (where it begins in the file) its number."""
        block = self._held.get(key)
        if block is not None:
            self._held.move_to_end(key)
        return block

    def put(self, key: tuple[int, int], block: bytes) -> None:
        """Keep one, in place of the one that was not asked for longest."""
        self._held[key] = block
        self._held.move_to_end(key)
        while len(self._held) > _HELD:
            self._held.popitem(last=False)


class _Place(NamedTuple):
    """Where a stream can be read from."""

    engine: Any
    """zlib's, which has no public name."""
    at: int
    """The first byte of it that the engine has not taken."""


class _Stream:
    """A DEFLATE stream on its way."""

    def __init__(self, packed: Callable[[int, int], bytes], size: int, place: _Place | None = None) -> None:
        self._packed, self._size = packed, size
        self._engine = place.engine.copy() if place else raw_decompressor()
        self._at, self._left = place.at if place else 0, b""
        self._fetched, self._fetched_at = memoryview(b""), self._at

    def take(self, size: int) -> bytes:
        """The next bytes; fewer where the stream ends."""
        blocks: list[bytes] = []
        while size and not self._engine.eof:
            given = self._left or self._piece()
            block = self._engine.decompress(given, size)
            self._left = self._engine.unconsumed_tail
            if not block and not given:
                break  # all was given to it, and nothing comes out
            size -= len(block)
            blocks.append(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _piece(self) -> memoryview:
        """The next bytes of the stream; none where they end."""
        start = self._at - self._fetched_at
        if start == len(self._fetched) and self._at < self._size:
            self._fetched = memoryview(self._packed(self._at, min(_FETCHED, self._size - self._at)))
            self._fetched_at, start = self._at, 0
        piece = self._fetched[start : start + _PIECE]
        self._at += len(piece)
        return piece

    def place(self) -> _Place:
        """Where it is now."""
        return _Place(self._engine.copy(), self._at - len(self._left))

    @property
    def ended(self) -> bool:
        """Whether there is an end, and nothing before it."""
        return not self.take(1) and self._engine.eof


class StoredMember:
    """One file of a wheel on disk, while the wheel is open.

    What reads it raises `AuditError` where it is damaged.
    """

    def __init__(self, archive: Archive, info: zipfile.ZipInfo, blocks: Blocks) -> None:
        self._archive, self._info, self._blocks = archive, info, blocks
        self.name, self.size = info.filename, info.file_size
        self._start: int | None = None
        self._stream: _Stream | None = None
        self._places: list[_Place] = []
        self._apart = max(_APART, self.size // _BLOCK // _PLACES + 1)
        self._at_once = (
            info.compress_type == zipfile.ZIP_DEFLATED and 0 < self.size <= _BLOCK and info.compress_size <= _FETCHED
        )
        self._passed = 0
        """Blocks of the first way through."""
        self._crc, self._sha256 = 0, hashlib.sha256()
        self._digest = b""
        self._damage: Exception | None = None
        """What was found on the first way through, which is not gone again."""

    @property
    def data(self) -> bytes:
        """The whole of it, read anew each time: for files that are small."""
        self._finish()
        return self.read(0, self.size)

    @property
    def digest(self) -> str:
        """As RECORD writes it."""
        if not self._digest:
            self._finish()
        return as_recorded(self._digest)

    def starts_with(self, head: bytes) -> bool:
        """Whether these are its first bytes."""
        return self.read(0, len(head)) == head

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from `at` on; fewer where it ends before."""
        end = min(at + size, self.size)
        if at >= end:
            if not self.size:
                self._finish()
            return b""
        try:
            return self._between(at, end)
        except DAMAGE:
            # Only now: a file may be read a thousand times.
            with self._archive.reading_member(self._info):
                raise

    def _between(self, at: int, end: int) -> bytes:
        if self._damage is not None:
            raise self._damage
        first, last = at // _BLOCK, (end - 1) // _BLOCK
        if first == last:
            block = self._block(first)
            start = at - first * _BLOCK
            return block if start == 0 and end - at == len(block) else block[start : start + end - at]
        whole = bytearray()
        for number in range(first, last + 1):
            block = self._block(number)
            whole += block[max(0, at - number * _BLOCK) : end - number * _BLOCK]
        return bytes(whole)

    def _finish(self) -> None:
        with self._archive.reading_member(self._info):
            if self._damage is not None:
                raise self._damage
            if not self.size and not self._digest:
                self._check()
            while self._passed * _BLOCK < self.size:
                self._next()

    def _block(self, number: int) -> bytes:
        block = self._blocks.get((self._info.header_offset, number))
        if block is not None:
            return block
        if self._info.compress_type == zipfile.ZIP_STORED and number < self._passed:
            return self._stored(number)
        if number >= self._passed:
            while number >= self._passed:
                block = self._next()
            return block or b""
        return self._again(number)

    def _next(self) -> bytes:
        """The next block of the first way through."""
        try:
            return self._passing()
        except DAMAGE as damage:
            self._damage = damage
            raise

    def _passing(self) -> bytes:
        number = self._passed
        wanted = min(_BLOCK, self.size - number * _BLOCK)
        if self._info.compress_type not in STORED_OR_DEFLATED:
            msg = f"ZIP method {self._info.compress_type}"
            raise NotImplementedError(msg)
        if self._info.compress_type == zipfile.ZIP_STORED:
            block = self._stored(number)
        elif self._at_once:
            engine = raw_decompressor()
            # One byte more than there should be, so that a stream ends where its member does, or is seen not to.
            block = engine.decompress(self._packed(0, self._info.compress_size), wanted + 1)
            if len(block) != wanted or not engine.eof:
                self._refuse()
            self._blocks.put((self._info.header_offset, number), block)
        else:
            if self._stream is None:
                self._stream = _Stream(self._packed, self._info.compress_size)
            if number and number % self._apart == 0:
                self._places.append(self._stream.place())
            block = self._stream.take(wanted)
            self._blocks.put((self._info.header_offset, number), block)
        if len(block) < wanted:
            self._refuse()
        self._passed += 1
        self._crc = crc32(block, self._crc)
        self._sha256.update(block)
        if self._passed * _BLOCK >= self.size:
            self._check()
        return block

    def _check(self) -> None:
        """At the end: whether it is what the directory says."""
        stream = self._stream
        if not self.size and self._info.compress_type == zipfile.ZIP_DEFLATED:
            stream = _Stream(self._packed, self._info.compress_size)
        whole = stream.ended if stream is not None else self._at_once or self._info.compress_size == self.size
        if not whole or self._crc != self._info.CRC:
            self._refuse()
        self._stream, self._digest = None, self._sha256.digest()

    def _again(self, number: int) -> bytes:
        """A block that was passed: from the nearest place before it, and those on the way for who comes next."""
        nearest = number // self._apart
        place = self._places[nearest - 1] if nearest else None
        stream, block = _Stream(self._packed, self._info.compress_size, place), b""
        for each in range(nearest * self._apart, number + 1):
            block = stream.take(min(_BLOCK, self.size - each * _BLOCK))
            self._blocks.put((self._info.header_offset, each), block)
        return block

    def _stored(self, number: int) -> bytes:
        return self._packed(number * _BLOCK, min(_BLOCK, self.size - number * _BLOCK))

    def _packed(self, at: int, size: int) -> bytes:
        if self._start is None:
            self._start = self._archive.stream_at(self._info)
        if at + size > self._info.compress_size:
            self._refuse()
        return self._archive.raw(self._start + at, size)

    def _refuse(self) -> None:
        msg = f"bad CRC-32 or size of {cut(self.name)}"
        raise zipfile.BadZipFile(msg)
