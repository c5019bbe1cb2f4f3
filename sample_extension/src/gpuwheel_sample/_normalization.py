"""Normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gpuwheel_sample._library import accumulate_dtype, like, operators, refuse_double_backward

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["add_rms_norm"]


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Add a residual and normalise by the root mean square of the last dimension (Zhang and Sennrich 2019).

    Args:
        x: Any shape `(..., size)`.
        residual: Like `x`.
        weight: `(size,)`, the dtype of `x`.
        eps: Added to the mean of squares.

    Returns:
        `(y, s)` with `s = x + residual` and `y = s / sqrt(mean(s * s) + eps) * weight`, both like `x`. `y` comes from
        the sum before it is rounded to the dtype of `x`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match.
    """
    y, total, _ = operators.add_rms_norm(x, residual, weight, eps)
    return y, total


@torch.library.register_fake("gpuwheel_sample::add_rms_norm")
def _(x, residual, weight, eps):  # noqa: ARG001 (the schema's arguments)
    return like(x), like(x), x.new_empty(x.shape[:-1], dtype=accumulate_dtype(x.dtype))


@torch.library.register_fake("gpuwheel_sample::add_rms_norm_backward")
def _(grad_y, grad_sum, sum, weight, scale):  # noqa: A002, ARG001 (the schema's arguments)
    return like(sum), like(weight)


def _setup_context(ctx, inputs, output):
    _, _, weight, _ = inputs
    _, total, scale = output
    ctx.save_for_backward(total, weight, scale)
    ctx.mark_non_differentiable(scale)
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_y, grad_sum, _):
    total, weight, scale = ctx.saved_tensors
    if grad_y is None:  # only x + residual was used
        return grad_sum, grad_sum, None, None
    grad_x, grad_weight = operators.add_rms_norm_backward(grad_y, grad_sum, total, weight, scale)
    return grad_x, grad_x, grad_weight, None


torch.library.register_autograd("gpuwheel_sample::add_rms_norm", _backward, setup_context=_setup_context)
refuse_double_backward("add_rms_norm")
