"""Root mean square normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ._launch import RowLaunch, kernel, multiprocessors, row_launch, rows_of, vector_width
from ._library import accumulate_dtype, check, like, operators, save_for_backward, twice

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["rms_norm"]

_SHARED_BYTES = 46 * 1024
"""A block has 48 KB without asking for more, some of which the sum over a row takes."""


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """`x / sqrt(mean(x**2, -1) + eps) * weight` (Zhang and Sennrich 2019).

    Args:
        x: `(..., size)`.
        weight: `(size,)`, dtype of `x`.
        eps: Keeps the root away from zero.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, or the dtype is not supported.
    """
    return _forward(x, weight, eps)


def _check(x: Tensor, weight: Tensor) -> None:
    if x.dim() == 0:
        raise RuntimeError("rms_norm: x has 0 dimensions, at least 1 is expected")
    check("rms_norm", x, weight=(weight, x.shape[-1:]))


def _forward_cuda(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    _check(x, weight)
    out = like(x)
    if out.numel():
        inputs, weight = rows_of(x), weight.contiguous()
        width = vector_width((out, *inputs.tensors, weight), (inputs.size, *inputs.strides))
        grid, block = row_launch(inputs, width)
        launch = kernel("rms_norm", x.dtype, width)
        launch(out, *inputs.tensors, weight, inputs.rows, inputs.size, *inputs.strides, eps, grid=grid, block=block)
    return out


def _forward_cpu(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    _check(x, weight)
    wide = accumulate_dtype(x.dtype)
    v = x.to(wide)
    scale = torch.rsqrt(v.square().mean(-1, keepdim=True) + eps)
    return (v * scale * weight.to(wide)).to(x.dtype).contiguous()


def _forward_fake(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    _check(x, weight)
    return like(x)


def _backward_cuda(grad: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    grad_x = like(x)
    if x.numel() == 0:
        return grad_x, torch.zeros_like(weight, memory_format=torch.contiguous_format)
    inputs, weight = rows_of(grad, x), weight.contiguous()
    width = vector_width((grad_x, *inputs.tensors, weight), (inputs.size, *inputs.strides))
    grid, block = _resident(row_launch(inputs, width), x.device)
    # Each block leaves the sum over its rows, in order: the same bits every time, which atomics would not give.
    partials = torch.empty(grid, inputs.size, dtype=torch.float32, device=x.device)
    shared_bytes = 4 * inputs.size * block[1]
    in_shared = shared_bytes <= _SHARED_BYTES
    tensors, numbers = (grad_x, partials, *inputs.tensors, weight), (inputs.rows, inputs.size, *inputs.strides)
    launch = kernel("rms_norm_backward", x.dtype, width)
    launch(*tensors, *numbers, eps, in_shared, grid=grid, block=block, shared_bytes=shared_bytes if in_shared else 0)
    return grad_x, partials.sum(0).to(weight.dtype)


def _resident(launch: RowLaunch, device: torch.device) -> RowLaunch:
    """As many blocks as work at a time, so that there are few partial sums."""
    blocks = max(1, 1024 // (launch.block[0] * launch.block[1])) * multiprocessors(device)
    return launch._replace(grid=min(launch.grid, blocks))


def _backward_cpu(grad: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    wide, narrow = accumulate_dtype(x.dtype), x.dtype
    grad, x, weight = grad.to(wide), x.to(wide), weight.to(wide)
    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    normalised = x * scale
    mean = (grad * weight * normalised).mean(-1, keepdim=True)
    grad_x = scale * (grad * weight - normalised * mean)
    grad_weight = (grad * normalised).reshape(-1, weight.numel()).sum(0) if x.numel() else torch.zeros_like(weight)
    return grad_x.to(narrow).contiguous(), grad_weight.to(narrow)


def _backward_fake(grad: Tensor, x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return like(x), like(weight)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
    grad_x, grad_weight = _backward(grad, *ctx.saved_tensors, *ctx.options)
    return grad_x, grad_weight, None


_backward = operators.register(
    "rms_norm_backward(Tensor grad, Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)",
    cuda=_backward_cuda,
    cpu=_backward_cpu,
    fake=_backward_fake,
    backward=twice("rms_norm"),
)
_forward = operators.register(
    "rms_norm(Tensor x, Tensor weight, float eps) -> Tensor",
    cuda=_forward_cuda,
    cpu=_forward_cpu,
    fake=_forward_fake,
    backward=_gradients,
    setup_context=save_for_backward,
)
