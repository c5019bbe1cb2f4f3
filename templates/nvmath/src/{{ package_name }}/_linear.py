"""Linear layers with bias and activation in the epilog of their GEMM: cuBLASLt, by nvmath-python.

cuBLASLt adds a bias along the rows of a column-major result. Operands are therefore passed transposed: `weight @ x.T`
in column-major order is `x @ weight.T` in row-major order, and nothing is copied.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import custom_op

from ._plans import accelerated, layout, plans, require

__all__ = ["gelu_mlp", "linear_gelu", "linear_relu"]

_CUDA_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_PADDING = 8
"""cuBLASLt keeps what went into GELU in rows of a multiple of 8."""


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


# --- Who multiplies: cuBLASLt, or plain torch on the CPU and where cuBLASLt has nothing to do. All matrices have two
# --- dimensions.


class _Engine(Protocol):
    def forward(self, x: Tensor, weight: Tensor, bias: Tensor, epilog: str) -> tuple[Tensor, ...]:
        """`x @ weight.T` with BIAS, RELU_BIAS or GELU_AUX_BIAS, which also gives what went into GELU, padded."""

    def parameters(self, grad: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Gradients of weight and bias of a layer, from that of `x @ weight.T + bias`."""

    def hidden(self, grad: Tensor, projection: Tensor, pre: Tensor) -> tuple[Tensor, ...]:
        """Gradients of what went into GELU, and of the bias in it, from that of the result of an MLP."""


class _Torch:
    """Adds up in float32 at least, and rounds where cuBLASLt does."""

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor, epilog: str) -> tuple[Tensor, ...]:
        pre = F.linear(_wide(x), _wide(weight), _wide(bias))
        if epilog == "BIAS":
            return (pre.to(x.dtype),)
        if epilog == "RELU_BIAS":
            return (pre.relu().to(x.dtype),)
        padded = F.pad(pre, (0, _padded(pre.shape[1]) - pre.shape[1]))
        return F.gelu(pre, approximate="tanh").to(x.dtype), padded.to(x.dtype)

    def parameters(self, grad: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        grad = _wide(grad)
        return (grad.T @ _wide(x)).to(x.dtype), grad.sum(0).to(x.dtype)

    def hidden(self, grad: Tensor, projection: Tensor, pre: Tensor) -> tuple[Tensor, ...]:
        grad_hidden = _wide(grad) @ _wide(projection)
        grad_pre = _gelu_gradient(grad_hidden, _wide(pre[:, : projection.shape[1]]))
        return grad_pre.to(grad.dtype), grad_pre.sum(0).to(grad.dtype)


class _CublasLt:
    """A plan for each problem."""

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor, epilog: str) -> tuple[Tensor, ...]:
        y, *pre = (m.T for m in _matmul(weight, x.T, epilog, bias=bias.contiguous()))
        for padded in pre:
            padded[:, y.shape[1] :] = 0  # cuBLASLt leaves there what was
        return y, *pre

    def parameters(self, grad: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        grad_weight, grad_bias = _matmul(x.T, grad, "BGRADB")
        return grad_weight.T, grad_bias

    def hidden(self, grad: Tensor, projection: Tensor, pre: Tensor) -> tuple[Tensor, ...]:
        grad_pre, grad_bias = _matmul(projection.T, grad.T, "DGELU_BGRAD", gelu_aux=pre.contiguous().T)
        return grad_pre.T, grad_bias


def _engine(*matrices: Tensor, inner: int = 0) -> _Engine:
    """Who takes these: cuBLASLt, if it can. The epilog of a gradient wants an inner dimension of more than 1."""
    return _CublasLt() if accelerated(*matrices) and inner != 1 else _Torch()


def _matmul(a: Tensor, b: Tensor, epilog: str, **inputs: Tensor) -> tuple[Tensor, ...]:
    """`a @ b` with an epilog, column-major, and what else the epilog gives."""
    a, b = _dense(a), _dense(b)
    operands = (a, b, *inputs.values())
    return plans.find(lambda: _MatmulPlan(a, b, epilog, inputs), epilog, *map(layout, operands)).run(a, b, inputs)


def _dense(matrix: Tensor) -> Tensor:
    """Row- or column-major without gaps."""
    return matrix if matrix.T.is_contiguous() else matrix.contiguous()


class _MatmulPlan:
    def __init__(self, a: Tensor, b: Tensor, epilog: str, inputs: dict[str, Tensor]) -> None:
        advanced = require("nvmath.linalg.advanced")
        self._matmul: Any = advanced.Matmul(a, b)
        self._matmul.plan(epilog=advanced.MatmulEpilog[epilog], epilog_inputs=inputs or None)

    def run(self, a: Tensor, b: Tensor, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        # Unchecked: the key of the cache is what would be checked.
        self._matmul.reset_operands_unchecked(a=a, b=b, epilog_inputs=inputs or None)
        try:
            # A workspace kept from call to call would be shared by streams, and by CUDA graphs.
            found = self._matmul.execute(release_workspace=True)
        finally:
            self._matmul.release_operands()  # the operands must not live as long as the plan
        return (found[0], *found[1].values()) if isinstance(found, tuple) else (found,)

    def free(self) -> None:
        self._matmul.free()


def _gelu_gradient(grad: Tensor, pre: Tensor) -> Tensor:
    """The gradient of what goes into GELU (tanh form)."""
    result: Tensor = torch.ops.aten.gelu_backward(grad, pre, approximate="tanh")
    return result


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _padded(size: int) -> int:
    return (size + _PADDING - 1) // _PADDING * _PADDING


def _rows(tensor: Tensor) -> Tensor:
    """All dimensions but the last as one."""
    return tensor.reshape(math.prod(tensor.shape[:-1]), tensor.shape[-1])


# --- The operators, as torch knows them. Some also return what their backward needs. ----------------------------------


@custom_op(f"{__package__}::linear_relu", mutates_args=())
def _linear_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check("linear_relu", x, weight, bias)
    (y,) = _engine(x, weight).forward(_rows(x), weight, bias, "RELU_BIAS")
    return y.reshape(*x.shape[:-1], weight.shape[0])


@custom_op(f"{__package__}::linear_gelu", mutates_args=())
def _linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    _check("linear_gelu", x, weight, bias)
    y, pre = _engine(x, weight).forward(_rows(x), weight, bias, "GELU_AUX_BIAS")
    return y.reshape(*x.shape[:-1], weight.shape[0]), pre


@custom_op(f"{__package__}::linear_backward", mutates_args=())
def _linear_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows, grad = _rows(x), _rows(grad).contiguous()
    grad_weight, grad_bias = _engine(rows, weight, inner=rows.shape[0]).parameters(grad, rows)
    return (grad @ weight).reshape(x.shape), grad_weight, grad_bias


@custom_op(f"{__package__}::gelu_mlp", mutates_args=())
def _gelu_mlp(
    x: Tensor, weight: Tensor, bias: Tensor, projection: Tensor, projection_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    _check("gelu_mlp", x, weight, bias, projection, projection_bias)
    hidden, pre = _engine(x, weight).forward(_rows(x), weight, bias, "GELU_AUX_BIAS")
    (y,) = _engine(hidden, projection).forward(hidden, projection, projection_bias, "BIAS")
    return y.reshape(*x.shape[:-1], projection.shape[0]), hidden, pre


@custom_op(f"{__package__}::gelu_mlp_backward", mutates_args=())
def _gelu_mlp_backward(
    grad: Tensor, x: Tensor, weight: Tensor, projection: Tensor, hidden: Tensor, pre: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    rows, grad = _rows(x), _rows(grad).contiguous()
    grad_projection, grad_projection_bias = _engine(hidden, projection, inner=rows.shape[0]).parameters(grad, hidden)
    grad_pre, grad_bias = _engine(grad, hidden, projection, inner=grad.shape[1]).hidden(grad, projection, pre)
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
    return x.new_empty(math.prod(x.shape[:-1]), _padded(weight.shape[0]))


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
    return _linear_backward(_gelu_gradient(grad, pre), x, weight)


def _save_gelu_mlp(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _, projection, _ = inputs
    ctx.save_for_backward(x, weight, projection, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _grad_gelu_mlp(ctx: Any, grad: Tensor, *_: None) -> Any:
    return _gelu_mlp_backward(grad, *ctx.saved_tensors)


_linear_relu.register_autograd(_grad_linear_relu, setup_context=_save_linear_relu)
_linear_gelu.register_autograd(_grad_linear_gelu, setup_context=_save_linear_gelu)
_gelu_mlp.register_autograd(_grad_gelu_mlp, setup_context=_save_gelu_mlp)
