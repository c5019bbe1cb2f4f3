"""Deflating files of any size with several threads: the same stream whatever their number (RFC 1951).

A file is cut into blocks of fixed size; each is compressed apart with the end of the one before it as its dictionary,
and ends on a byte (`Z_SYNC_FLUSH`), so that the pieces are one stream, as pigz writes it. The bytes are those of
`_deflate`: of one release of zlib-ng wherever it is installed, else of the zlib of the Python that runs.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel._deflate import crc32, raw_compressor
from gpuwheel.wheel.zip_writer import DEFLATED, STORED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future

__all__ = ["Deflated", "deflate_bytes", "deflate_file"]

_BLOCK = 1 << 20
_WINDOW = 1 << 15
"""How far back a match may reach."""


def deflate_bytes(data: bytes) -> tuple[int, bytes]:
    """`(method, stream)` of what is in memory: raw DEFLATE, or stored where that is not smaller."""
    stream = _piece(data, b"", is_last=True)
    return (DEFLATED, stream) if len(stream) < len(data) else (STORED, data)


@dataclass(frozen=True)
class Deflated:
    """What became of a file."""

    method: int
    """DEFLATED; STORED where compressing gains nothing, and then nothing of use was written."""
    size: int
    """Bytes before compression."""
    packed_size: int
    """Bytes as `method` has it."""
    crc: int
    sha256: bytes


def deflate_file(source: BinaryIO, out: BinaryIO, pool: Executor, *, threads: int = 4) -> Deflated:
    """Compress what is left of `source` to `out`.

    Args:
        source: Read in blocks of a megabyte; two for each thread are held.
        out: Gets one raw DEFLATE stream.
        pool: What compresses.
        threads: How many blocks are compressed at a time; the bytes do not depend on it.

    Raises:
        OSError: a file cannot be read or written.
    """
    sha256, crc, size, packed = hashlib.sha256(), 0, 0, 0
    waiting: deque[Future[bytes]] = deque()
    for block, dictionary, is_last in _blocks(source):
        waiting.append(pool.submit(_piece, block, dictionary, is_last=is_last))
        sha256.update(block)
        crc, size = crc32(block, crc), size + len(block)
        while len(waiting) > 2 * threads or (is_last and waiting):
            packed += out.write(waiting.popleft().result())
    if packed >= size:
        return Deflated(STORED, size, size, crc, sha256.digest())
    return Deflated(DEFLATED, size, packed, crc, sha256.digest())


def _blocks(source: BinaryIO) -> Iterator[tuple[bytes, bytes, bool]]:
    """`(block, the end of what was before it, whether nothing follows)`; an empty file is one block."""
    before, block = b"", source.read(_BLOCK)
    while True:
        following = source.read(_BLOCK) if len(block) == _BLOCK else b""
        yield block, before, not following
        if not following:
            return
        before, block = block[-_WINDOW:], following


def _piece(block: bytes, dictionary: bytes, *, is_last: bool) -> bytes:
    engine = raw_compressor(dictionary)
    packed: bytes = engine.compress(block) + engine.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)
    return packed
