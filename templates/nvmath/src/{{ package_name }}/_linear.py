"""Linear layers with bias and activation in the epilog of their GEMM."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from ._epilogs import engine, gelu_gradient, padded_size

__all__ = ["gelu_mlp", "linear_gelu", "linear_relu"]

_CUDA_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def linear_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`relu(x @ weight.T + bias)`: one GEMM (RELU_BIAS).

    Args:
        x: `(..., in)`.
        weight: `(out, in)`, as in `torch.nn.Linear`.
        bias: `(out,)`.

    Returns:
        `(..., out)`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, or a CUDA tensor came without the extra.
    """
    y: Tensor = _linear_relu(x, weight, bias)
    return y


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`gelu(x @ weight.T + bias)`, GELU in its tanh form: one GEMM (GELU_AUX_BIAS).

    Arguments, result and errors are those of `linear_relu`.
    """
    y: Tensor = _linear_gelu(x, weight, bias)[0]
    return y


def gelu_mlp(x: Tensor, weight: Tensor, bias: Tensor, projection: Tensor, projection_bias: Tensor) -> Tensor:
    """`linear_gelu(x, weight, bias) @ projection.T + projection_bias`: two GEMMs (GELU_AUX_BIAS, BIAS).

    In the backward, the derivative of GELU and the gradient of `bias` are in the epilog of the GEMM that makes the
    gradient of the hidden layer (DGELU_BGRAD), which itself never goes to memory.

    Args:
        x: `(..., in)`.
        weight: `(hidden, in)`.
        bias: `(hidden,)`.
        projection: `(out, hidden)`.
        projection_bias: `(out,)`.

    Returns:
        `(..., out)`.

    Raises:
        RuntimeError: As for `linear_relu`.
    """
    y: Tensor = _gelu_mlp(x, weight, bias, projection, projection_bias)[0]
    return y


# --- The operators, as torch knows them. Some also return what their backward needs. ----------------------------------


@custom_op(f"{__package__}::linear_relu", mutates_args=())
def _linear_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check("linear_relu", x, weight, bias)
    (y,) = engine(x, weight).forward(_rows(x), weight, bias, "RELU_BIAS")
    return y.reshape(*x.shape[:-1], weight.shape[0])


@custom_op(f"{__package__}::linear_gelu", mutates_args=())
def _linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    _check("linear_gelu", x, weight, bias)
    y, pre = engine(x, weight).forward(_rows(x), weight, bias, "GELU_AUX_BIAS")
    return y.reshape(*x.shape[:-1], weight.shape[0]), pre


@custom_op(f"{__package__}::linear_backward", mutates_args=())
def _linear_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows, grad = _rows(x), _rows(grad).contiguous()
    grad_weight, grad_bias = engine(rows, weight, inner=rows.shape[0]).parameters(grad, rows)
    return (grad @ weight).reshape(x.shape), grad_weight, grad_bias


@custom_op(f"{__package__}::gelu_mlp", mutates_args=())
def _gelu_mlp(
    x: Tensor, weight: Tensor, bias: Tensor, projection: Tensor, projection_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    _check("gelu_mlp", x, weight, bias, projection, projection_bias)
    hidden, pre = engine(x, weight).forward(_rows(x), weight, bias, "GELU_AUX_BIAS")
    (y,) = engine(hidden, projection).forward(hidden, projection, projection_bias, "BIAS")
    return y.reshape(*x.shape[:-1], projection.shape[0]), hidden, pre


@custom_op(f"{__package__}::gelu_mlp_backward", mutates_args=())
def _gelu_mlp_backward(
    grad: Tensor, x: Tensor, weight: Tensor, projection: Tensor, hidden: Tensor, pre: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    rows, grad = _rows(x), _rows(grad).contiguous()
    grad_projection, grad_projection_bias = engine(hidden, projection, inner=rows.shape[0]).parameters(grad, hidden)
    grad_pre, grad_bias = engine(grad, hidden, projection, inner=grad.shape[1]).hidden(grad, projection, pre)
    return (grad_pre @ weight).reshape(x.shape), grad_pre.T @ rows, grad_bias, grad_projection, grad_projection_bias


@_linear_relu.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check("linear_relu", x, weight, bias)
    return x.new_empty(*x.shape[:-1], weight.shape[0])


@_linear_gelu.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    _check("linear_gelu", x, weight, bias)
    return x.new_empty(*x.shape[:-1], weight.shape[0]), _pre(x, weight)


@_linear_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape), weight.new_empty(weight.shape[0])


@_gelu_mlp.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor, projection: Tensor, projection_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    _check("gelu_mlp", x, weight, bias, projection, projection_bias)
    hidden = x.new_empty(math.prod(x.shape[:-1]), weight.shape[0])
    return x.new_empty(*x.shape[:-1], projection.shape[0]), hidden, _pre(x, weight)


@_gelu_mlp_backward.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, projection: Tensor, hidden: Tensor, pre: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    biases = (weight.new_empty(weight.shape[0]), weight.new_empty(projection.shape[0]))
    return x.new_empty(x.shape), weight.new_empty(weight.shape), biases[0], x.new_empty(projection.shape), biases[1]


def _pre(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(math.prod(x.shape[:-1]), padded_size(weight.shape[0]))


def _check(name: str, x: Tensor, *layers: Tensor) -> None:
    """Refuse shapes, dtypes and devices that do not match; `layers` are weights and biases in turn."""
    tensors = (x, *layers)
    size = x.shape[-1:]
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        if weight.dim() != 2 or weight.shape[1:] != size or bias.shape != weight.shape[:1]:
            found = ", ".join(str(tuple(t.shape)) for t in tensors)
            expected = "(..., in), and (out, in), (out,) for each layer, are expected"
            raise RuntimeError(f"{name}: shapes {found} do not fit; {expected}")
        size = weight.shape[:1]
    if any((t.dtype, t.device) != (x.dtype, x.device) for t in tensors):
        found = ", ".join(f"{t.dtype} on {t.device}" for t in tensors)
        raise RuntimeError(f"{name}: tensors are {found}; one dtype on one device is expected")
    if not x.is_floating_point() or (x.is_cuda and x.dtype not in _CUDA_DTYPES):
        raise RuntimeError(f"{name}: dtype {x.dtype} is not supported on {x.device.type}")


def _rows(tensor: Tensor) -> Tensor:
    """All dimensions but the last as one."""
    return tensor.reshape(math.prod(tensor.shape[:-1]), tensor.shape[-1])


# --- Derivatives. -----------------------------------------------------------------------------------------------------


def _save_linear_relu(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2], output)


def _grad_linear_relu(ctx: Any, grad: Tensor) -> Any:
    x, weight, y = ctx.saved_tensors
    return _linear_backward(torch.ops.aten.threshold_backward(grad, y, 0), x, weight)


def _save_linear_gelu(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:2], output[1])
    ctx.mark_non_differentiable(output[1])


def _grad_linear_gelu(ctx: Any, grad: Tensor, _: None) -> Any:
    x, weight, pre = ctx.saved_tensors
    pre = pre[:, : weight.shape[0]].reshape(grad.shape)
    return _linear_backward(gelu_gradient(grad, pre), x, weight)


def _save_gelu_mlp(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _, projection, _ = inputs
    ctx.save_for_backward(x, weight, projection, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _grad_gelu_mlp(ctx: Any, grad: Tensor, *_: None) -> Any:
    return _gelu_mlp_backward(grad, *ctx.saved_tensors)


_linear_relu.register_autograd(_grad_linear_relu, setup_context=_save_linear_relu)
_linear_gelu.register_autograd(_grad_linear_gelu, setup_context=_save_linear_gelu)
_gelu_mlp.register_autograd(_grad_gelu_mlp, setup_context=_save_gelu_mlp)
