"""DEFLATE by zlib-ng and by zlib: the same is read, the same is refused, and what is written is the same everywhere."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import random
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel import _deflate
from gpuwheel.wheel.deflating import deflate_bytes, deflate_file

if TYPE_CHECKING:
    from types import ModuleType

STREAMS = {
    "zlib-ng 2.2.5": "1f92509bbd7884e9e3cb45500fa2b02e92132850598416eb7431c02a368055a8",
    "zlib-ng 2.3.3": "1f92509bbd7884e9e3cb45500fa2b02e92132850598416eb7431c02a368055a8",
}
"""Release -> digest of `content` deflated: of Python 3.9 to 3.13, x86-64 without and with AVX-512, and aarch64."""
WORDS = random.Random(6)  # noqa: S311

zlib_ng = pytest.mark.skipif(importlib.util.find_spec("zlib_ng") is None, reason="needs zlib-ng")


@pytest.fixture(scope="module")
def content() -> bytes:
    words = random.Random(5)  # noqa: S311
    return b"".join(words.choice([b"ld.global.f32 ", b"\0" * 9, words.randbytes(7)]) for _ in range(250_000))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it is where the extra is not installed."""
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    spec = importlib.util.spec_from_file_location("gpuwheel_deflate_again", Path(_deflate.__file__))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read(module: ModuleType, stream: bytes) -> tuple[bytes, bool] | str:
    engine: Any = module.raw_decompressor()
    try:
        return engine.decompress(stream, 1 << 20), engine.eof
    except module.ERRORS as error:
        return str(error)


@zlib_ng
def test_what_is_read_and_refused_does_not_depend_on_the_extra(without: ModuleType, content: bytes) -> None:
    assert (without.ENGINE.split()[0], _deflate.ENGINE.split()[0]) == ("zlib", "zlib-ng")
    streams = []
    for level, strategy in ((1, 0), (6, 0), (9, 0), (6, zlib.Z_FIXED), (6, zlib.Z_HUFFMAN_ONLY), (0, 0)):
        engine = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
        streams.append(engine.compress(content[:3000]) + engine.flush())
    told: list[tuple[bytes, bool] | str] = []
    for number in range(6000):
        stream = bytearray(streams[number % len(streams)])
        # The tables of codes are at the beginning.
        for _ in range(WORDS.randrange(4)):
            stream[WORDS.randrange(min(len(stream), WORDS.choice((30, 9999))))] ^= 1 << WORDS.randrange(8)
        told.append(_read(_deflate, bytes(stream)))
        assert told[-1] == _read(without, bytes(stream))
    assert (content[:3000], True) in told
    assert {
        word for it in told if isinstance(it, str) for word in ("lengths", "distances", "code lengths") if word in it
    }
    assert _deflate.crc32(content, 5) == without.crc32(content, 5) == zlib.crc32(content, 5)


@zlib_ng
def test_a_release_of_zlib_ng_writes_one_stream(content: bytes) -> None:
    out = io.BytesIO()
    with ThreadPoolExecutor(2) as pool:
        done = deflate_file(io.BytesIO(content), out, pool)
    assert zlib.decompress(out.getvalue(), -zlib.MAX_WBITS) == content
    assert (done.size, done.crc) == (len(content), zlib.crc32(content))
    digest = hashlib.sha256(out.getvalue() + deflate_bytes(content[:5000])[1]).hexdigest()
    assert STREAMS.get(_deflate.ENGINE, digest) == digest
