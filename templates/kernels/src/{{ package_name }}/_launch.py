"""Which kernel, how many blocks, how many threads. Asks no GPU, so that any machine tests it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import torch

from . import _kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ._kernels import Launcher

__all__ = [
    "THREADS",
    "Matrices",
    "RowLaunch",
    "elements_of",
    "kernel",
    "multiprocessors",
    "row_launch",
    "rows_of",
    "vector_width",
]

THREADS = 256
"""Of a block of an elementwise kernel (kThreads in csrc/swiglu.cu)."""
_WARP = 32
_MOST_THREADS = 1024  # of a block: kMostThreads in csrc/rms_norm.cu
_MOST_BLOCKS = 2**31 - 1
_VECTOR_BYTES = 16
_NAMES = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat16"}


@functools.cache
def kernel(name: str, dtype: torch.dtype, width: int) -> Launcher:
    """The launcher of `name<dtype, width>`."""
    launcher: Launcher = getattr(_kernels, f"{name}_{_NAMES[dtype]}_{width}")
    return launcher


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """How many there are: the number of blocks that work at a time is a multiple of it."""
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


class Matrices(NamedTuple):
    """Tensors of one shape as kernels see them: rows of `size` elements without gaps, each a stride from the next."""

    rows: int
    size: int
    tensors: tuple[Tensor, ...]
    strides: tuple[int, ...]


def rows_of(*tensors: Tensor) -> Matrices:
    """Rows along the last dimension. A tensor is copied where its strides leave no other way."""
    size = tensors[0].shape[-1]
    found = tuple(tensor if tensor.is_contiguous() else _matrix(tensor) for tensor in tensors)
    strides = tuple(size if tensor.is_contiguous() else tensor.stride(0) for tensor in found)
    return Matrices(tensors[0].numel() // size, size, found, strides)


def _matrix(tensor: Tensor) -> Tensor:
    matrix = tensor.reshape(-1, tensor.shape[-1])
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


def elements_of(*tensors: Tensor) -> Matrices:
    """One long row; rows where a tensor has gaps between them, as the halves of a fused projection have.

    Rows that would not fill a block are copied.
    """
    if all(tensor.is_contiguous() for tensor in tensors):
        size = tensors[0].numel()
        return Matrices(1, size, tensors, (size,) * len(tensors))
    if tensors[0].dim() > 0 and tensors[0].shape[-1] >= THREADS:
        return rows_of(*tensors)
    return elements_of(*(tensor.contiguous() for tensor in tensors))


def vector_width(tensors: Sequence[Tensor], strides: Sequence[int]) -> int:
    """Elements of a load of 16 bytes; 1 where a tensor, or a row of it, begins elsewhere than at a multiple of that."""
    width = _VECTOR_BYTES // tensors[0].element_size()
    for tensor in tensors:
        if tensor.data_ptr() % _VECTOR_BYTES:
            return 1
    return width if all(stride % width == 0 for stride in strides) else 1


class RowLaunch(NamedTuple):
    """Blocks, and threads of a row times rows of a block."""

    grid: int
    block: tuple[int, int]


def row_launch(matrices: Matrices, width: int) -> RowLaunch:
    """A warp for each row of up to four vectors per thread, with four rows in a block; else a block for each row."""
    vectors = matrices.size // width
    if vectors <= 4 * _WARP:
        return RowLaunch(min(-(-matrices.rows // 4), _MOST_BLOCKS), (_WARP, 4))
    warps = -(-vectors // (2 * _WARP))  # two vectors per thread
    return RowLaunch(min(matrices.rows, _MOST_BLOCKS), (min(warps * _WARP, _MOST_THREADS), 1))
