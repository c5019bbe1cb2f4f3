"""What the checks know of memory beside its values: which bytes were written, and by which block of a launch."""

from __future__ import annotations

import ctypes
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Shadows"]

_ALIGNMENT = 512  # as cudaMalloc aligns
_MOST_KEPT, _MOST_KEPT_BYTES = 64, 256 << 20  # shadows take half of what they are of


class Shadows:
    """The shadows of arrays that nothing has written, for as long as they live, and of all others for a launch."""

    def __init__(self, machine: ctypes.CDLL) -> None:
        self._make = machine.gpuwheel_ptx_shadow
        self._make.restype, self._make.argtypes = ctypes.c_void_p, [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int]
        self._written = machine.gpuwheel_ptx_written
        self._written.restype, self._written.argtypes = None, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        self._free = machine.gpuwheel_ptx_shadow_free
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]
        self._known: dict[int, int] = {}
        self._kept: dict[tuple[int, int], int] = {}

    def fresh(self, shape: int | tuple[int, ...], kind: str) -> Any:  # noqa: ANN401 - an array of NumPy
        """An array that nothing has written: its bytes are 0xff, which is NaN, and reads of it are reported.

        Args:
            shape: as NumPy takes it.
            kind: the type of its elements, e.g. "f4".
        """
        import numpy as np  # noqa: PLC0415 - it is there where somebody launches on arrays

        dtype = np.dtype(kind)
        count = int(np.prod(shape)) * dtype.itemsize
        room = np.full(count + _ALIGNMENT, 0xFF, "u1")
        at = -int(room.ctypes.data) % _ALIGNMENT
        start = int(room.ctypes.data) + at
        self._known[start] = self._make(start, start + count, 0) or 0
        weakref.finalize(room, self._forget, start)
        return room[at : at + count].view(dtype).reshape(shape)

    def written(self, array: Any) -> None:  # noqa: ANN401
        """The host wrote all of a fresh array; of other arrays nothing is written down."""
        start = int(array.__array_interface__["data"][0])
        if start in self._known:
            self._written(self._known[start], start, array.nbytes)

    def _forget(self, start: int) -> None:
        self._free(self._known.pop(start, 0))

    @contextmanager
    def of(self, spaces: Sequence[tuple[int, int]], *, there: bool) -> Iterator[list[int]]:
        """The shadow of each space, for a launch: that of a fresh array, or a new one to which all is written.

        0 for all if none is to be `there`.
        """
        used: dict[tuple[int, int], int] = {}
        try:
            yield [self._known.get(start) or self._borrow(used, start, end) if there else 0 for start, end in spaces]
        finally:
            # Of other launches nothing in them counts: they are kept for the next one that touches the same memory.
            self._kept.update(used)
            while len(self._kept) > _MOST_KEPT or sum(end - start for start, end in self._kept) > _MOST_KEPT_BYTES:
                self._free(self._kept.pop(next(iter(self._kept))))

    def _borrow(self, used: dict[tuple[int, int], int], start: int, end: int) -> int:
        used[start, end] = self._kept.pop((start, end), 0) or self._make(start, end, 1) or 0
        return used[start, end]
