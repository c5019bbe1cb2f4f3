"""How a layer is packed: streams of wheels copied, gzip, or zstd.

`deflate` copies each member's compressed stream as a gzip member of its own (RFC 1952, 2.2: a file may have several),
and packs what lies between them in a way of its own. Nothing is compressed again: it takes a fraction of gzip's time,
and its bytes depend on the wheels alone, on every machine, while those of gzip depend on the release of zlib, and those
of zstd on the release of zstd.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gpuwheel._limits import LAYER_MEMBERS
from gpuwheel.errors import ConfigError, ImageError
from gpuwheel.publish.image.contents.zero_runs import deflated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["GZIP_LAYER", "ZSTD_LAYER", "Compression", "Packer", "unpacked"]

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"

# RFC 1952, 2.3: no name, no time, unknown system.
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_WORDS = re.compile(r"(?P<method>deflate|gzip|zstd)(?::(?P<level>\d{1,2}))?")
_LEVELS = {"gzip": (6, range(1, 10)), "zstd": (6, range(1, 20))}
"""Method -> its level unless one is given, and those that there are. zstd's above 19 need more memory to unpack."""
_THREADS = 2  # of zstd: from one on, any number gives the same bytes, but none gives others
_WITHOUT = "pip install 'gpuwheel[image]'"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLOCK, _PIECE = 1 << 20, 1 << 16


class Packer(Protocol):
    """Takes a tar, and writes it as a layer."""

    def write(self, data: bytes, /) -> None:
        """Append bytes of the tar."""

    def copy(self, pairs: Iterable[tuple[bytes, bytes]], crc: int, size: int) -> Iterator[bytes]:
        """Append a deflated member: packed blocks, each with what it unpacks to; the latter are handed on.

        Args:
            pairs: `Archive.pairs` of it.
            crc: CRC-32 of the whole.
            size: bytes of the whole.
        """

    def close(self) -> None:
        """The tar is complete."""


@dataclass(frozen=True)
class Compression:
    """`deflate`, `gzip[:LEVEL]` or `zstd[:LEVEL]`."""

    method: str = "deflate"
    level: int = 0

    @classmethod
    def parse(cls, text: str) -> Compression:
        """From a word such as "zstd:9".

        Raises:
            ConfigError: it is none.
            ImageError: zstandard is not installed.
        """
        found = _WORDS.fullmatch(text)
        usual, levels = _LEVELS.get(found["method"], (0, range(0))) if found else (0, range(0))
        level = usual if found is None or found["level"] is None else int(found["level"])
        if found is None or (found["level"] is not None and level not in levels):
            msg = f"{text!r} is not a compression of layers (expected deflate, gzip:1 to gzip:9, or zstd:1 to zstd:19)"
            raise ConfigError(msg, hint="leave it out: deflate is the fastest, and the same on every machine")
        if found["method"] == "zstd":
            _zstandard()
        return cls(found["method"], level)

    def __str__(self) -> str:
        return f"{self.method}:{self.level}" if self.level else self.method

    @property
    def media_type(self) -> str:
        """Of its layers."""
        return ZSTD_LAYER if self.method == "zstd" else GZIP_LAYER

    @property
    def made_by(self) -> str:
        """What its bytes depend on beside the tar: part of the key under which a layer is kept."""
        if self.method == "zstd":
            module = _zstandard()
            return f"{self} zstd-{'.'.join(map(str, module.ZSTD_VERSION))} python-zstandard-{module.__version__}"
        return f"{self} zlib-{zlib.ZLIB_RUNTIME_VERSION}" if self.method == "gzip" else f"{self} 2"

    def packer(self, write: Callable[[bytes], object]) -> Packer:
        """Packs into `write`."""
        if self.method == "deflate":
            return _Copier(write)
        if self.method == "gzip":
            return _Whole(write, zlib.compressobj(self.level, zlib.DEFLATED, 16 + zlib.MAX_WBITS))
        return _Whole(write, _zstandard().ZstdCompressor(level=self.level, threads=_THREADS).compressobj())


class _Engine(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Whole:
    """One stream over the whole tar."""

    def __init__(self, write: Callable[[bytes], object], engine: _Engine) -> None:
        self._write, self._engine = write, engine

    def write(self, data: bytes, /) -> None:
        self._write(self._engine.compress(data))

    def copy(self, pairs: Iterable[tuple[bytes, bytes]], crc: int, size: int) -> Iterator[bytes]:
        del crc, size
        for _, block in pairs:
            self.write(block)
            yield block

    def close(self) -> None:
        self._write(self._engine.flush())


class _Copier:
    """A gzip member for each stream that is copied, and one for what lies before it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> None:
        self._waiting += data
        # In units of one size, however the caller cuts: the bytes must not depend on it.
        while len(self._waiting) >= _BLOCK:
            self._store(_BLOCK)

    def copy(self, pairs: Iterable[tuple[bytes, bytes]], crc: int, size: int) -> Iterator[bytes]:
        self._store(len(self._waiting))
        self._write(_GZIP_HEAD)
        for packed, block in pairs:
            self._write(packed)
            yield block
        self._write(struct.pack("<II", crc, size & 0xFFFFFFFF))

    def close(self) -> None:
        self._store(len(self._waiting))

    def _store(self, size: int) -> None:
        if not size:
            return
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        end = struct.pack("<II", zlib.crc32(data), size & 0xFFFFFFFF)
        self._write(_GZIP_HEAD + deflated(data) + end)


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """A layer in blocks, unpacked: gzip of one member or several, zstd, or none. No block is large.

    Raises:
        ImageError: it is damaged, or zstandard is not installed.
    """
    stream = iter(blocks)
    first = b""
    while len(first) < len(_ZSTD) and (block := next(stream, None)) is not None:
        first += block
    try:
        if first.startswith(_GZIP):
            yield from _gunzipped(_with(first, stream))
        elif first.startswith(_ZSTD):
            yield from _unzstd(_with(first, stream))
        else:
            yield from _with(first, stream)
    except zlib.error as error:
        msg = f"a layer is damaged ({error}, expected gzip)"
        raise ImageError(msg, hint="pull the image again") from error


def _with(first: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from stream


def _pieces(stream: Iterator[bytes]) -> Iterator[bytes]:
    """The same in small pieces: zlib copies what it has not yet taken, after each member."""
    for block in stream:
        for at in range(0, len(block), _PIECE):
            yield block[at : at + _PIECE]


def _gunzipped(stream: Iterator[bytes]) -> Iterator[bytes]:
    engine, started, members = _gzip_engine(), False, 1
    for piece in _pieces(stream):
        data = piece if started else piece.lstrip(b"\0")
        while data:
            started = True
            block = engine.decompress(data, _BLOCK)
            data = engine.unconsumed_tail
            yield block
            if engine.eof:
                # Zeros may fill up the last block of a tape, or of an archive that tar wrote.
                data, started = engine.unused_data.lstrip(b"\0"), False
                engine, members = _gzip_engine(), members + 1
                if members > LAYER_MEMBERS.value:
                    raise zlib.error(LAYER_MEMBERS.passed("more"))
    while started and not engine.eof:
        block = engine.decompress(b"", _BLOCK)
        if not block:
            msg = "the stream is cut short"
            raise zlib.error(msg)
        yield block


def _gzip_engine() -> Any:  # noqa: ANN401 (zlib's, which has no public name)
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


class _Source(io.RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        del size  # no piece is larger than is asked for
        return next(self._pieces, b"")


def _unzstd(stream: Iterator[bytes]) -> Iterator[bytes]:
    module = _zstandard()
    engine = module.ZstdDecompressor(max_window_size=1 << 27)
    source = _Source(_pieces(stream))
    try:
        with engine.stream_reader(source, read_size=_PIECE, read_across_frames=True) as reader:
            while block := reader.read(_BLOCK):
                yield block
    except module.ZstdError as error:
        msg = f"a layer is damaged ({error}, expected zstd)"
        raise ImageError(msg, hint="pull the image again") from error


def _zstandard() -> Any:  # noqa: ANN401 (a module)
    try:
        import zstandard  # noqa: PLC0415 (of an extra)
    except ImportError as error:
        msg = "layers of zstd need the package zstandard (found none)"
        raise ImageError(msg, hint=_WITHOUT) from error
    return zstandard
