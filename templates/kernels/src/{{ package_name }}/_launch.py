"""Which kernel, how many blocks, how many threads: needs no GPU, so that any machine tests it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import torch

from . import _kernels

if TYPE_CHECKING:
    from torch import Tensor

    from ._kernels import Launcher

__all__ = ["THREADS", "RowLaunch", "kernel", "multiprocessors", "row_launch", "rows_of", "same_rows", "vector_width"]

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


def rows_of(tensor: Tensor) -> Tensor:
    """`(rows, size)` whose rows have no gaps. A copy where the strides leave no other way."""
    rows = tensor.reshape(tensor.shape[:-1].numel(), tensor.shape[-1])
    return rows if rows.stride(1) == 1 else rows.contiguous()


def same_rows(*tensors: Tensor) -> list[Tensor]:
    """Tensors of one shape as matrices for an elementwise kernel.

    They are one long row, or rows a stride apart where one has gaps, as the halves of a fused projection do. Rows that
    would not fill a block are copied.
    """
    shape = tensors[0].shape
    if len(shape) > 0 and shape[-1] >= THREADS and not all(tensor.is_contiguous() for tensor in tensors):
        return [rows_of(tensor) for tensor in tensors]
    return [tensor.contiguous().view(1, -1) for tensor in tensors]


def vector_width(*matrices: Tensor) -> int:
    """Elements of a load of 16 bytes; 1 where a row begins elsewhere than at a multiple of 16 bytes."""
    width = _VECTOR_BYTES // matrices[0].element_size()
    for matrix in matrices:
        if matrix.data_ptr() % _VECTOR_BYTES or (matrix.shape[0] > 1 and matrix.stride(0) % width):
            return 1
    return width


class RowLaunch(NamedTuple):
    """Blocks, and threads of a row times rows of a block."""

    grid: int
    block: tuple[int, int]


def row_launch(rows: int, size: int, width: int) -> RowLaunch:
    """A warp for each row of up to four vectors per thread, with four rows in a block; else a block for each row."""
    vectors = size // width
    if vectors <= 4 * _WARP:
        return RowLaunch(min(-(-rows // 4), _MOST_BLOCKS), (_WARP, 4))
    warps = -(-vectors // (2 * _WARP))  # two vectors per thread
    return RowLaunch(min(rows, _MOST_BLOCKS), (min(warps * _WARP, _MOST_THREADS), 1))
