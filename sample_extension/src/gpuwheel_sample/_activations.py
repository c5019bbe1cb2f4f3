"""Activations, with and without a bias, gated and not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gpuwheel_sample._library import like, operators, refuse_double_backward

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["bias_gelu", "bias_squared_relu", "squared_relu", "swiglu"]


def bias_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """`gelu(x + bias)` in its tanh form (Hendrycks and Gimpel 2016), as `gelu(x + bias, approximate="tanh")` of torch.

    Args:
        x: Any shape `(..., size)`.
        bias: `(size,)`, the dtype of `x`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match.
    """
    return operators.bias_gelu(x, bias)


def squared_relu(x: Tensor) -> Tensor:
    """`relu(x) ** 2`, the activation of Primer (So et al. 2021) and of the Nemotron models.

    Args:
        x: Any shape.
    """
    return operators.squared_relu(x)


def bias_squared_relu(x: Tensor, bias: Tensor) -> Tensor:
    """`relu(x + bias) ** 2`.

    Args:
        x: Any shape `(..., size)`.
        bias: `(size,)`, the dtype of `x`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match.
    """
    return operators.bias_squared_relu(x, bias)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """`silu(gate) * up` (Shazeer 2020).

    Args:
        gate: Any shape.
        up: Like `gate`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match.
    """
    return operators.swiglu(gate, up)


def _register(name, backward):
    """Fake kernels and autograd of an operator that returns one tensor like its first and saves what it takes.

    `backward` is its backward operator: a gradient for each argument, from the gradient and the arguments.
    """

    def fake(first, *others):  # noqa: ARG001 (the schema's arguments)
        return like(first)

    def fake_backward(grad, *arguments):  # noqa: ARG001 (the schema's arguments)
        grads = tuple(like(argument) for argument in arguments)
        return grads if len(grads) > 1 else grads[0]

    def setup_context(ctx, inputs, output):  # noqa: ARG001 (the signature is torch's)
        ctx.save_for_backward(*inputs)

    torch.library.register_fake(f"gpuwheel_sample::{name}", fake)
    torch.library.register_fake(f"gpuwheel_sample::{name}_backward", fake_backward)
    torch.library.register_autograd(
        f"gpuwheel_sample::{name}",
        lambda ctx, grad: backward(grad, *ctx.saved_tensors),
        setup_context=setup_context,
    )
    refuse_double_backward(name)


_register("bias_gelu", operators.bias_gelu_backward)
_register("squared_relu", operators.squared_relu_backward)
_register("bias_squared_relu", operators.bias_squared_relu_backward)
_register("swiglu", operators.swiglu_backward)
