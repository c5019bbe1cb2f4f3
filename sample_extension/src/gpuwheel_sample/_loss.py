"""Losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from gpuwheel_sample._library import accumulate_dtype, like, operators, refuse_double_backward

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["cross_entropy"]


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Cross entropy of `softmax(logits)` with class indices, for large vocabularies.

    Where a gradient will be needed, the forward computes it along with the loss, while the logits are at hand; the
    backward only scales it. The logits themselves are not kept. Without, nothing but the loss is computed.

    Args:
        logits: `(..., classes)`.
        target: `(...)`, int64. On CUDA a target that is neither a class nor `ignore_index` makes the loss NaN: an
            error would have to wait for the device.
        ignore_index: Rows with this target have loss and gradient 0 and do not count in the mean.
        reduction: The mean over the rows that count (NaN if there are none), the sum, or `"none"`: one loss per row.

    Returns:
        The loss in float32 (float64 for float64 logits): `()`, or `(...)` for `"none"`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, `reduction` is none of the three, or, on the CPU, a target
            is out of range.
    """
    with_gradient = torch.is_grad_enabled() and logits.requires_grad
    loss, _, _ = operators.cross_entropy(logits, target, ignore_index, reduction, with_gradient)
    return loss


@torch.library.register_fake("gpuwheel_sample::cross_entropy")
def _(logits, target, ignore_index, reduction, with_gradient):  # noqa: ARG001 (the schema's arguments)
    wide = accumulate_dtype(logits.dtype)
    return (
        logits.new_empty(logits.shape[:-1] if reduction == "none" else (), dtype=wide),
        like(logits) if with_gradient else logits.new_empty((0,)),
        logits.new_empty(() if reduction == "mean" else (0,), dtype=wide),
    )


@torch.library.register_fake("gpuwheel_sample::cross_entropy_backward")
def _(grad_loss, gradient, valid):  # noqa: ARG001 (the schema's arguments)
    return like(gradient)


def _setup_context(ctx, inputs, output):
    *_, with_gradient = inputs
    _, gradient, valid = output
    ctx.with_gradient = with_gradient
    ctx.save_for_backward(gradient, valid)
    ctx.mark_non_differentiable(gradient, valid)


def _backward(ctx, grad_loss, *_):
    if not ctx.with_gradient:
        message = "cross_entropy: the gradient was not computed (with_gradient is False, True is expected)"
        raise RuntimeError(message)
    gradient, valid = ctx.saved_tensors
    return operators.cross_entropy_backward(grad_loss, gradient, valid), None, None, None, None


torch.library.register_autograd("gpuwheel_sample::cross_entropy", _backward, setup_context=_setup_context)
refuse_double_backward("cross_entropy")
