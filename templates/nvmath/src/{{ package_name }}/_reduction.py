"""Sums of segments of unequal length: CUB, by cuda.compute, for nvmath-python has no reductions.

cuda.compute compiles an algorithm for each dtype, keeps it, and takes any size: there is nothing to plan.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import custom_op

from ._plans import accelerated, require

__all__ = ["segment_sum"]

_DTYPES = (torch.float32, torch.float64)


def segment_sum(values: Tensor, offsets: Tensor) -> Tensor:
    """`sums[i] = values[offsets[i] : offsets[i + 1]].sum()`, with the same bits every time.

    Args:
        values: `(n,)`, float32 or float64.
        offsets: `(segments + 1,)` of int64: ascending, from 0 to n. Their values are not checked: that would wait for
            the GPU.

    Returns:
        `(segments,)`; the sum of no values is 0.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, or a CUDA tensor came without the extra.
    """
    sums: Tensor = _segment_sum(values, offsets)
    return sums


@custom_op(f"{__package__}::segment_sum", mutates_args=())
def _segment_sum(values: Tensor, offsets: Tensor) -> Tensor:
    _check(values, offsets)
    values, offsets = values.detach().contiguous(), offsets.contiguous()
    if accelerated(values, offsets[1:]):
        with torch.cuda.device(values.get_device()):
            return _reduce(values, offsets)
    return torch.segment_reduce(values, "sum", offsets=offsets, axis=0, unsafe=True, initial=0)


def _reduce(values: Tensor, offsets: Tensor) -> Tensor:
    compute = require("cuda.compute")
    sums = values.new_empty(offsets.numel() - 1)
    arrays = {"d_in": values, "d_out": sums, "start_offsets_in": offsets[:-1], "end_offsets_in": offsets[1:]}
    plus = {"op": compute.OpKind.PLUS, "h_init": torch.zeros(1, dtype=values.dtype).numpy()}
    reduce = compute.make_segmented_reduce(**arrays, **plus)
    call = {**arrays, **plus, "num_segments": sums.numel(), "stream": _Stream()}
    scratch = values.new_empty(reduce(temp_storage=None, **call), dtype=torch.uint8)  # without scratch: its size
    reduce(temp_storage=scratch, **call)
    return sums


class _Stream:
    """The current stream, as libraries of NVIDIA take it."""

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, torch.cuda.current_stream().cuda_stream


@_segment_sum.register_fake
def _(values: Tensor, offsets: Tensor) -> Tensor:
    _check(values, offsets)
    return values.new_empty(offsets.shape[0] - 1)


def _check(values: Tensor, offsets: Tensor) -> None:
    if values.dim() != 1 or offsets.dim() != 1 or offsets.shape[0] == 0:
        found = f"values has shape {tuple(values.shape)}, offsets {tuple(offsets.shape)}"
        raise RuntimeError(f"segment_sum: {found}; (n,) and (segments + 1,) are expected")
    if values.dtype not in _DTYPES or offsets.dtype != torch.int64 or offsets.device != values.device:
        found = f"values is {values.dtype} on {values.device}, offsets {offsets.dtype} on {offsets.device}"
        raise RuntimeError(f"segment_sum: {found}; float32 or float64, and int64 on the same device, are expected")


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _grad(ctx: Any, grad: Tensor) -> Any:
    values, offsets = ctx.saved_tensors
    segment = torch.bucketize(torch.arange(values.shape[0], device=values.device), offsets, right=True)
    return F.pad(grad, (1, 1))[segment], None  # a value before the first segment, or behind the last, has none


_segment_sum.register_autograd(_grad, setup_context=_save)
