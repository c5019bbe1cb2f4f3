"""DEFLATE for headers of a tar, which are mostly zeros (RFC 1951, 3.2.6): runs, and the fixed code for the rest.

zlib would do better, and differently with each release; this gives the same bytes everywhere and for ever.
"""

from __future__ import annotations

import re
import struct

__all__ = ["MOST", "deflated"]

MOST = 1 << 16
"""Bytes up to which it is tried: it takes 0.1 microseconds a byte."""

_RUN = re.compile(rb"\0{4,}")
_STORED_MOST = 0xFFFF  # 3.2.4


def _literal(byte: int) -> str:
    return f"{0b00110000 + byte:08b}" if byte < 144 else f"{0b110010000 + byte - 144:09b}"  # noqa: PLR2004 (3.2.6)


def _lengths() -> dict[int, str]:
    """Length of a repetition -> its code, and the bits behind it (3.2.5)."""
    found, length = {}, 3
    for code in range(257, 285):
        extra = max(0, (code - 261) // 4)
        prefix = f"{code - 256:07b}" if code < 280 else f"{0b11000000 + code - 280:08b}"  # noqa: PLR2004 (3.2.6)
        for value in range(1 << extra):
            # Extra bits begin with the lowest (3.1.1), codes with the highest.
            found[length + value] = prefix + (f"{value:0{extra}b}"[::-1] if extra else "")
        length += 1 << extra
    return {**found, 258: f"{0b11000000 + 285 - 280:08b}"}


_LITERALS = [_literal(byte) for byte in range(256)]
_REPEATED = {length: f"{bits}00000" for length, bits in _lengths().items()}
"""With the distance of one byte."""
_END = "0000000"
_LONGEST = 258


def deflated(data: bytes) -> bytes:
    """One whole DEFLATE stream of `data`, stored where that is shorter, or where it has more than `MOST` bytes."""
    stored = _stored(data)
    if len(data) > MOST:
        return stored
    bits = ["1", "10"]  # the last block; the fixed code, lowest bit first
    at = 0
    for run in _RUN.finditer(data):
        bits += [_LITERALS[byte] for byte in data[at : run.start() + 1]]
        left = run.end() - run.start() - 1
        while left >= 3:  # noqa: PLR2004 (the shortest repetition)
            length = min(left, _LONGEST)
            bits.append(_REPEATED[length])
            left -= length
        at = run.end() - left
    bits += [_LITERALS[byte] for byte in data[at:]]
    text = "".join([*bits, _END])
    # The first bit of the stream is the lowest of the first byte (3.1.1).
    packed = int(text[::-1], 2).to_bytes((len(text) + 7) // 8, "little")
    return min(stored, packed, key=len)


def _stored(data: bytes) -> bytes:
    pieces = []
    for at in range(0, len(data) or 1, _STORED_MOST):
        piece = data[at : at + _STORED_MOST]
        is_last = at + _STORED_MOST >= len(data)
        pieces.append(struct.pack("<BHH", is_last, len(piece), len(piece) ^ _STORED_MOST) + piece)
    return b"".join(pieces)
