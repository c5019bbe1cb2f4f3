"""LZ4 blocks (lz4_Block_format.md, 2022-07-31), as fatbins hold them: without a frame, of a stated size."""

from __future__ import annotations

__all__ = ["lz4_block"]

_LONG = 15  # in a half of a token: more bytes of the length follow, each 255 but the last
_LEAST = 4  # bytes of a match


def lz4_block(data: bytes, size: int) -> bytes:
    """What a block unpacks to.

    Args:
        data: the block, perhaps with padding behind it.
        size: of what it unpacks to, in bytes: more is never made.

    Raises:
        ValueError: it is damaged, or of another size.
        IndexError: it is cut short.
    """
    out = bytearray()
    at = 0
    while len(out) < size:
        token = data[at]
        length, at = _length(data, at + 1, token >> 4)
        if at + length > len(data) or len(out) + length > size:
            msg = f"{length} bytes at byte {at} of an LZ4 block"
            raise ValueError(msg)
        out += data[at : at + length]
        at += length
        if len(out) == size:  # the last sequence is literals alone
            break
        back = data[at] | data[at + 1] << 8
        length, at = _length(data, at + 2, token & _LONG)
        length += _LEAST
        start = len(out) - back
        if back == 0 or start < 0 or len(out) + length > size:
            msg = f"a match of {length} bytes, {back} bytes back, in an LZ4 block"
            raise ValueError(msg)
        if back >= length:
            out += out[start : start + length]
        else:  # it overlaps what it makes: a pattern, again and again
            pattern = bytes(out[start:])
            out += (pattern * (length // back + 1))[:length]
    return bytes(out)


def _length(data: bytes, at: int, length: int) -> tuple[int, int]:
    """A length whose first half-byte was `length`, and where the next thing begins."""
    if length == _LONG:
        more = 255
        while more == 255:  # noqa: PLR2004 (the format's own)
            more = data[at]
            length += more
            at += 1
    return length, at
