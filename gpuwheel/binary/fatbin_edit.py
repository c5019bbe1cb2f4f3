"""Changing fatbins in their place: images taken out, images compressed by zstd (of LZ4 too); each container begins
where it began.

`__fatbinwrap` points at containers, and the driver reads from there as many bytes as the header says. So a container
may become shorter, what is left of its place is zeros, and nothing else moves. The form is that of `fatbin`; what is
written here is byte for byte what `fatbinary --compress-mode=size` of CUDA 13.0 writes of the same images: the tests
repeat it.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel.binary.extent import Extent
from gpuwheel.binary.fatbin import CODEC_MASK, CONTAINER, CONTAINER_MAGIC, ENTRY, arch_of, skip_zeros
from gpuwheel.binary.lz4_block import lz4_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from gpuwheel.model.archs import Arch

__all__ = ["Entry", "Shrunk", "compressed", "containers", "raw_image", "without"]

# Fields of an entry, by their places.
_PADDED, _COMPRESSED, _ARCH, _FLAGS, _RAW = 3, 4, 8, 11, 13
_PTX, _CUBIN = 1, 2
_LZ4, _ZSTD = 0x2000, 0x8000
_ALIGNMENT = 8
_BLOCK = 1 << 20
_LARGEST = 1 << 31
"""Bytes of one image: what relative addresses in machine code reach."""
_ZSTD_LEVEL = 19
"""What `--compress-mode=size` stands for."""


@dataclass(frozen=True)
class Entry:
    """One image in its container."""

    at: int
    """Where its header begins in the file."""
    fields: tuple[int, ...]

    @property
    def header_size(self) -> int:
        """Bytes before the image."""
        return self.fields[2]

    @property
    def size(self) -> int:
        """Bytes with header and padding."""
        return self.header_size + self.fields[_PADDED]

    @property
    def arch(self) -> Arch:
        """What it is for."""
        return arch_of(self.fields[_ARCH], self.fields[_FLAGS])

    @property
    def target(self) -> str:
        """Of machine code "sm_80", of PTX "compute_80", of others "kind 8 for sm_80"."""
        kind, arch = self.fields[0], self.arch
        return arch.sm if kind == _CUBIN else arch.compute if kind == _PTX else f"kind {kind} for {arch.sm}"

    @property
    def codec(self) -> int:
        """What of its flags says how it is compressed; 0: not at all."""
        return self.fields[_FLAGS] & CODEC_MASK


@dataclass(frozen=True)
class Shrunk:
    """What an edit did."""

    images: int
    size: int
    """Bytes that became zeros."""


def containers(file: BinaryIO, at: int, size: int) -> Iterator[tuple[Entry, ...]]:
    """The images of each container in a part of a file, which `fatbin.read_fatbin` has read before.

    Raises:
        ValueError: it is not made of whole containers.
    """
    end = at + size
    part = Extent(lambda place, length: _read(file, place, length), 0, end)
    while (at := skip_zeros(part, at)) < end:
        magic, _, header_size, length = CONTAINER.unpack(_read(file, at, CONTAINER.size))
        if magic != CONTAINER_MAGIC or header_size != CONTAINER.size or at + header_size + length > end:
            msg = f"no whole container at byte {at}"
            raise ValueError(msg)
        yield tuple(_entries(file, at + header_size, at + header_size + length))
        at += header_size + length


def without(file: BinaryIO, container: Sequence[Entry], unwanted: Callable[[Entry], bool]) -> Shrunk:
    """Take images out of a container; those that stay are as they were, byte for byte, closer together."""
    pieces = ((entry, None) for entry in container if not unwanted(entry))
    saved = _rewritten(file, container, pieces)
    return Shrunk(sum(map(unwanted, container)), saved)


def compressed(file: BinaryIO, container: Sequence[Entry], *, threads: int = 4) -> Shrunk:
    """Compress the images of a container by zstd that are not, or by LZ4, where that makes them smaller.

    Raises:
        ImportError: zstandard is not installed.
    """
    import zstandard  # noqa: PLC0415 (of the extra `repair`)

    def smaller(entry: Entry) -> bytes | None:
        try:
            raw = raw_image(file, entry)
        except ValueError:  # damaged by others: it stays as it is
            return None
        # A compressor of its own: they must not be shared between threads.
        image: bytes = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=False).compress(raw)
        padded = image + bytes(-len(image) % _ALIGNMENT)
        if len(padded) >= entry.fields[_PADDED]:
            return None
        fields = list(entry.fields)
        fields[_PADDED], fields[_COMPRESSED], fields[_RAW] = len(padded), len(image), len(raw)
        fields[_FLAGS] = fields[_FLAGS] & ~CODEC_MASK | _ZSTD
        options = _read(file, entry.at + ENTRY.size, entry.header_size - ENTRY.size)
        return ENTRY.pack(*fields) + options + padded

    count = 0

    def pieces() -> Iterator[tuple[Entry, bytes | None]]:
        nonlocal count
        waiting: deque[tuple[Entry, Future[bytes | None] | None]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for entry in container:
                waiting.append((entry, pool.submit(smaller, entry) if entry.codec in {0, _LZ4} else None))
                while len(waiting) > threads or (entry is container[-1] and waiting):
                    first, future = waiting.popleft()
                    data = None if future is None else future.result()
                    count += data is not None
                    yield first, data

    saved = _rewritten(file, container, pieces())
    return Shrunk(count, saved)


def raw_image(file: BinaryIO, entry: Entry, *, inflate: bool = True) -> bytes:
    """An image before compression; one that is compressed by neither LZ4 nor zstd, or any without `inflate`, as it is.

    Raises:
        ValueError: it is damaged.
        ImportError: zstandard is not installed, and needed.
    """
    raw = _read(file, entry.at + entry.header_size, entry.fields[_PADDED])
    if inflate and entry.codec in {_LZ4, _ZSTD}:
        size = entry.fields[_RAW]
        if size > _LARGEST:
            msg = f"an image of {size} bytes (expected at most {_LARGEST})"
            raise ValueError(msg)
        image = raw[: entry.fields[_COMPRESSED]]
        return _of_lz4(image, size) if entry.codec == _LZ4 else _of_zstd(image, size)
    # Of a text, the padding is no part.
    return raw.rstrip(b"\0") + b"\0" if entry.fields[0] == _PTX and not entry.codec else raw


def _of_lz4(image: bytes, size: int) -> bytes:
    try:
        return lz4_block(image, size)
    except IndexError as error:
        msg = "an image that LZ4 cannot read (it is cut short)"
        raise ValueError(msg) from error


def _of_zstd(image: bytes, size: int) -> bytes:
    import zstandard  # noqa: PLC0415 (of the extra `repair`)

    try:
        data: bytes = zstandard.ZstdDecompressor().decompress(image, max_output_size=size)
    except zstandard.ZstdError as error:
        msg = f"an image that zstd cannot read ({error})"
        raise ValueError(msg) from error
    if len(data) != size:
        msg = f"an image of {len(data)} bytes (its header says {size})"
        raise ValueError(msg)
    return data


def _rewritten(file: BinaryIO, container: Sequence[Entry], pieces: Iterator[tuple[Entry, bytes | None]]) -> int:
    """Write what a container shall hold in its place: never more than was read of it."""
    if not container:
        return 0
    start, end = container[0].at, container[-1].at + container[-1].size
    at = start
    for entry, data in pieces:
        at += _move(file, entry, at) if data is None else _write(file, at, data)
    for place in range(at, end, _BLOCK):
        _write(file, place, bytes(min(_BLOCK, end - place)))
    header = start - CONTAINER.size
    _write(file, header, _read(file, header, CONTAINER.size - 8) + struct.pack("<Q", at - start))
    return end - at


def _move(file: BinaryIO, entry: Entry, to: int) -> int:
    if entry.at != to:
        for offset in range(0, entry.size, _BLOCK):
            _write(file, to + offset, _read(file, entry.at + offset, min(_BLOCK, entry.size - offset)))
    return entry.size


def _entries(file: BinaryIO, at: int, end: int) -> Iterator[Entry]:
    while at < end:
        entry = Entry(at, ENTRY.unpack(_read(file, at, ENTRY.size)))
        at += entry.size
        if entry.header_size < ENTRY.size or at > end:
            msg = f"an entry of {entry.size} bytes does not fit"
            raise ValueError(msg)
        yield entry


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    # By place, and past any buffer: threads read while the writer writes.
    data = os.pread(file.fileno(), size, at)
    if len(data) != size:
        msg = f"{size} bytes at {at} end behind the file"
        raise ValueError(msg)
    return data


def _write(file: BinaryIO, at: int, data: bytes) -> int:
    return os.pwrite(file.fileno(), data, at)
