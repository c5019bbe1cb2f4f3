"""DEFLATE streams and CRC-32 (RFC 1951, RFC 1952): by zlib-ng where it is installed, else by Python's zlib.

Reading gives the same bytes either way, and refuses the same streams: zlib-ng has kept the inflate of zlib. Of igzip,
which is faster still, that is not so: it takes incomplete code tables, which installers refuse.

Writing differs, and is for `gpuwheel repair` alone: zlib-ng writes the same stream under every Python and on every CPU,
which of the zlib that a Python was built with nobody knows.
"""

from __future__ import annotations

import zlib
from typing import Any

try:
    from zlib_ng import zlib_ng
except ImportError:  # of an extra
    _engine: Any = zlib
    _LEVEL = 6
else:
    _engine = zlib_ng
    _LEVEL = 7

__all__ = ["ENGINE", "ERRORS", "crc32", "raw_compressor", "raw_decompressor"]

ENGINE: str = f"zlib-ng {_engine.ZLIBNG_VERSION}" if _engine is not zlib else f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
"""What reads and writes, and its release."""
ERRORS: tuple[type[Exception], type[Exception]] = (zlib.error, _engine.error)
"""What a damaged stream raises."""


def crc32(data: bytes | memoryview, before: int = 0) -> int:
    """The CRC-32 of what came before and of `data`."""
    return int(_engine.crc32(data, before))


def raw_decompressor() -> Any:  # noqa: ANN401 (zlib's, which has no public name)
    """As `zlib.decompressobj`, for a stream without header and checksum."""
    return _engine.decompressobj(-zlib.MAX_WBITS)


def raw_compressor(dictionary: bytes = b"") -> Any:  # noqa: ANN401 (as above)
    """As `zlib.compressobj`, for such a stream.

    The levels, of two programs, pack device code alike; the next one of each takes three times as long, and makes it
    smaller by half a percent.

    Args:
        dictionary: What came before it, which it may refer to.
    """
    words = (_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    return _engine.compressobj(*words, dictionary) if dictionary else _engine.compressobj(*words)
