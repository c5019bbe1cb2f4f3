"""Arrays of cuTile kernels: what a launch passes of a tensor, after what the machine code assumes of it was checked.

Copied by gpuwheel into packages with cuTile kernels, beside `_runtime.py`. Code that was compiled for aligned rows does
not notice others: it reads and writes elsewhere. What was found right once for a shape is not looked at again.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Array", "Dimension"]

_INDEX = {
    "int32": (ctypes.c_int32, -(1 << 31), (1 << 31) - 1),
    "uint32": (ctypes.c_uint32, 0, (1 << 32) - 1),
    "int64": (int, -(1 << 63), (1 << 63) - 1),  # cuda.core passes a Python int as 8 bytes
}
_MOST_LAYOUTS = 1024


class Dimension(NamedTuple):
    """What machine code assumes of one dimension of an array. Strides count elements."""

    length: int | None = None
    length_divisor: int = 1
    stride: int | None = None
    stride_divisor: int = 1
    least_stride: int | None = None


class Array:
    """One parameter of a kernel."""

    def __init__(
        self,
        kernel: str,
        name: str,
        *dimensions: Dimension,
        index: str,
        alignment: int,
        expanded: bool,
    ) -> None:
        """`index`: type of lengths and strides; `expanded`: whether several indices may name one element."""
        self._subject = f"{kernel}: {name}"
        self._dimensions = dimensions
        self._index = _INDEX[index]
        self._alignment = alignment
        self._expanded = expanded
        self._known: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def arguments(self, tensor: Tensor, address: int) -> tuple[Any, ...]:
        """Address, lengths and strides of a tensor.

        Raises:
            ValueError: the tensor is not as the kernel was compiled for.
            OverflowError: a length or a stride does not fit the type in which it is passed.
        """
        if address % self._alignment:
            message = f"{self._subject} begins at an address that {self._alignment} does not divide ({address:#x})"
            raise ValueError(message)
        layout = (tensor.shape, tensor.stride())
        passed = self._known.get(layout)
        if passed is None:
            if len(self._known) >= _MOST_LAYOUTS:
                self._known.clear()
            passed = self._known[layout] = self._checked(*layout)
        return (address, *passed)

    def _checked(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Any, ...]:
        if len(shape) != len(self._dimensions):
            message = f"{self._subject} has {len(shape)} dimensions, {len(self._dimensions)} are expected"
            raise ValueError(message)
        passed = []
        for position, (assumed, length, stride) in enumerate(zip(self._dimensions, shape, strides, strict=True)):
            # The stride of a dimension with one element is never used; torch has any number there.
            real = assumed.stride if length == 1 and assumed.stride is not None else stride
            self._check("length", position, length, assumed.length, assumed.length_divisor, None)
            self._check("stride", position, real, assumed.stride, assumed.stride_divisor, assumed.least_stride)
            if real == 0 and length > 1 and not self._expanded:
                message = f"{self._subject} is expanded along dimension {position}, one place per element is expected"
                raise ValueError(message)
            passed.append(real)
        convert, low, high = self._index
        numbers = (*shape, *passed)
        if not all(low <= number <= high for number in numbers):
            message = f"{self._subject} has lengths or strides that do not fit {low} to {high}: {numbers}"
            raise OverflowError(message)
        return tuple(map(convert, numbers))

    def _check(self, what: str, position: int, found: int, value: int | None, divisor: int, least: int | None) -> None:
        if value is not None and found != value:
            expected = str(value)
        elif found % divisor:
            expected = f"a multiple of {divisor}"
        elif least is not None and found < least:
            expected = f"{least} or more"
        else:
            return
        message = f"{self._subject} has {what} {found} in dimension {position}, {expected} is expected"
        raise ValueError(message)
