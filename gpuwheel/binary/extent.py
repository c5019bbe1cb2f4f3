"""A piece of a file that need not be in memory: read where it is asked for, and never whole unless somebody wants it.

A library may be larger than memory is; what is asked of it (headers, tables, names) lies in a few places. The readers
of this room take an `Extent`, made of bytes or of whatever else reads at a place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Extent", "extent"]


@dataclass(frozen=True)
class Extent:
    """Bytes `start` to `start + size` of something that reads at a place."""

    source: Callable[[int, int], bytes | memoryview]
    """Takes a place and a number of bytes, all of which are there."""
    start: int
    size: int
    """In bytes."""

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return bytes(self.read())

    def read(self, at: int = 0, size: int | None = None) -> bytes | memoryview:
        """`size` bytes from `at` on, all that are left unless stated; fewer where it ends before.

        Raises:
            what the source raises: of a member of an archive, that it is damaged.
        """
        at = min(at, self.size)  # sources are not asked for places that no file has
        left = self.size - at
        return self.source(self.start + at, left if size is None else max(0, min(size, left)))

    def part(self, at: int, size: int | None = None) -> Extent:
        """The piece from `at` on; what is behind the end is left out."""
        at = min(at, self.size)
        left = self.size - at
        return Extent(self.source, self.start + at, left if size is None else max(0, min(size, left)))


def extent(data: bytes | bytearray | memoryview | Extent) -> Extent:
    """What is in memory, as a piece of itself."""
    if isinstance(data, Extent):
        return data
    view = memoryview(data)
    return Extent(lambda at, size: view[at : at + size], 0, len(view))
