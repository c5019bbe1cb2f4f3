"""Read a few members of a wheel on an index by byte ranges (RFC 9110 section 14), without the rest of it."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from zipfile import ZipInfo

__all__ = ["SparseFile", "member_spans"]

_GAP = 1 << 16  # cheaper to download than another round trip
_TAIL = 1 << 16  # the end of the central directory lies in the last 64 KB, a comment included


class SparseFile(io.RawIOBase):
    """A seekable read-only file that fetches what is read and keeps it, for `zipfile.ZipFile` to work on.

    Args:
        fetch: gives the bytes from the first offset to the second (exclusive), which are inside the file.
        size: of the whole file.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._size = size
        self._position = 0
        self._starts: list[int] = []
        self._blocks: dict[int, bytes] = {}
        self.prefetch([(max(0, size - _TAIL), size)])

    def prefetch(self, spans: Iterable[tuple[int, int]]) -> None:
        """Fetch spans that will be read, near ones together."""
        merged: list[tuple[int, int]] = []
        inside = ((max(0, start), min(stop, self._size)) for start, stop in spans if start < self._size)
        for start, stop in sorted(inside):
            if merged and start - merged[-1][1] <= _GAP:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        for start, stop in merged:
            self._load(start, stop)

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The offset of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset, as `io.IOBase.seek` does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, or all that are left; fewer only at the end."""
        wanted = self._size if size is None or size < 0 else self._position + size
        data = self._load(self._position, min(wanted, self._size))
        self._position += len(data)
        return data

    def _load(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`; what no kept block holds is fetched."""
        pieces = []
        while start < stop:
            at = bisect_right(self._starts, start)
            if at:
                begin = self._starts[at - 1]
                block = self._blocks[begin]
                if start < begin + len(block):
                    pieces.append(block[start - begin : stop - begin])
                    start += len(pieces[-1])
                    continue
            end = min(stop, self._starts[at]) if at < len(self._starts) else stop
            block = self._fetch(start, end)
            if len(block) != end - start:
                msg = f"a part of {len(block)} bytes, expected {end - start}"
                raise EOFError(msg)
            self._starts.insert(at, start)
            self._blocks[start] = block
        return b"".join(pieces)


def member_spans(everything: Iterable[ZipInfo], members: Iterable[ZipInfo], end: int) -> list[tuple[int, int]]:
    """Where members lie in an archive: from their local header to whatever begins next, or to `end`."""
    offsets = sorted({*(info.header_offset for info in everything), end})
    following = {offset: offsets[min(place, len(offsets) - 1)] for place, offset in enumerate(offsets, 1)}
    return [(info.header_offset, following[info.header_offset]) for info in members]
