"""Rotary position embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gpuwheel_sample._library import like, operators, refuse_double_backward

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["rotary_embedding"]


def rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs of elements by the angle of their position (RoPE, Su et al. 2021; the GPT-NeoX arrangement).

    Element `i` of the first half of a head is paired with element `i` of the second half.

    Args:
        x: `(batch, sequence, heads, size)`, `size` even.
        cos: `(sequence, size / 2)`, the dtype of `x`. It has no gradient: differentiating it is an error.
        sin: Like `cos`.

    Returns:
        Like `x`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match.
    """
    return operators.rotary_embedding(x, cos, sin)


def _fake(x, cos, sin):  # noqa: ARG001 (the schema's arguments)
    return like(x)


torch.library.register_fake("gpuwheel_sample::rotary_embedding", _fake)
torch.library.register_fake("gpuwheel_sample::rotary_embedding_backward", _fake)


def _setup_context(ctx, inputs, output):  # noqa: ARG001 (the signature is torch's)
    _, cos, sin = inputs
    ctx.save_for_backward(cos, sin)


def _backward(ctx, grad):
    if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
        message = "rotary_embedding: cos and sin have no gradient (one of them requires it): use cos.detach()"
        raise RuntimeError(message)
    return operators.rotary_embedding_backward(grad, *ctx.saved_tensors), None, None


torch.library.register_autograd("gpuwheel_sample::rotary_embedding", _backward, setup_context=_setup_context)
refuse_double_backward("rotary_embedding")
