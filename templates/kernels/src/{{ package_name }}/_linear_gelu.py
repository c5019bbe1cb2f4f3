"""A linear layer with GELU in the epilogue of its matrix product, in cuTile: drivers of CUDA 13 (580 and newer)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from . import _kernels
from ._library import accumulate_dtype, check, operators

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["linear_gelu"]

ROWS, COLUMNS = 128, 128  # of a tile: TILE in csrc/tiles.py
_LAUNCHERS = {torch.float16: _kernels.linear_gelu_half, torch.bfloat16: _kernels.linear_gelu_bfloat16}
_ALIGNMENT = 8
"""Elements of 16 bytes, at multiples of which the kernel's rows begin."""


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`gelu(x @ weight.T + bias)` with GELU in its tanh form (Hendrycks and Gimpel 2016).

    On CUDA, float16 and bfloat16 with `in` and `out` multiples of 8 are one kernel. The rest, float32 and other
    sizes, is plain torch.

    Args:
        x: `(..., in)`.
        weight: `(out, in)`, as in `torch.nn.Linear`; dtype of `x`.
        bias: `(out,)`, dtype of `x`.

    Returns:
        `(..., out)`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, or the dtype is not supported; on CUDA also where the
            driver is older than 580, or the GPU none of those that the kernel was compiled for.
    """
    return _forward(x, weight, bias)


def _check(x: Tensor, weight: Tensor, bias: Tensor) -> None:
    if x.dim() == 0 or weight.dim() != 2:
        found = f"x has {x.dim()} dimensions, weight {weight.dim()}"
        raise RuntimeError(f"linear_gelu: {found}: 1 or more and 2 are expected")
    out = weight.shape[0]
    check("linear_gelu", x, weight=(weight, (out, x.shape[-1])), bias=(bias, (out,)))


def _plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.gelu(functional.linear(x, weight, bias), approximate="tanh").contiguous()


def _forward_cuda(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check(x, weight, bias)
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    operands = (x, weight, bias)
    aligned = all(t.shape[-1] % _ALIGNMENT == 0 and t.data_ptr() % 16 == 0 for t in operands)
    if x.dtype not in _LAUNCHERS or not aligned or x.numel() == 0:
        return _plain(x, weight, bias)
    out = _forward_fake(x, weight, bias)
    if out.numel():
        left, matrix = x.view(-1, x.shape[-1]), out.view(-1, out.shape[-1])
        tiles = -(-matrix.shape[0] // ROWS) * -(-matrix.shape[1] // COLUMNS)
        _LAUNCHERS[x.dtype](left, weight, bias, matrix, grid=tiles)
    return out


def _forward_cpu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check(x, weight, bias)
    wide = accumulate_dtype(x.dtype)
    return _plain(x.to(wide), weight.to(wide), bias.to(wide)).to(x.dtype)


def _forward_fake(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check(x, weight, bias)
    return x.new_empty(*x.shape[:-1], weight.shape[0])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Plain torch, which computes what GELU was applied to once more: nothing of size (..., out) is kept for it."""
    x, weight, bias = ctx.saved_tensors
    before = functional.linear(x, weight, bias)
    inner = torch.ops.aten.gelu_backward(grad, before, approximate="tanh")
    count = math.prod(x.shape[:-1])
    rows = inner.reshape(count, weight.shape[0])
    return inner @ weight, rows.T @ x.reshape(count, weight.shape[1]), rows.sum(0)


_forward = operators.register(
    "linear_gelu(Tensor x, Tensor weight, Tensor bias) -> Tensor",
    cuda=_forward_cuda,
    cpu=_forward_cpu,
    fake=_forward_fake,
    backward=_gradients,
    setup_context=_save,
)
