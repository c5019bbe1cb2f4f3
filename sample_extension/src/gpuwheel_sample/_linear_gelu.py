"""Linear layers with GELU in the epilog of their GEMM: cuBLASLt through nvmath-python, an optional dependency.

On CUDA they need the extra `cu12` or `cu13` of this package; on the CPU they are plain torch. Operands are passed to
cuBLASLt transposed: it adds a bias along the columns of a column-major result, which is the transpose of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)

from gpuwheel_sample._library import accumulate_dtype, operators, refuse_double_backward
from gpuwheel_sample._nvmath import NvmathPlanner, PlanCache

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gelu_mlp", "linear_gelu"]

_CUDA_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_PADDING = 8
"""cuBLASLt keeps the pre-activation in rows of a multiple of 8."""

_plans = PlanCache(NvmathPlanner())


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`gelu(x @ weight.T + bias)` in GELU's tanh form: one GEMM with bias and activation in its epilog (GELU_AUX_BIAS).

    The gradient of the bias comes out of the epilog of the weight's GEMM (BGRADB).

    Args:
        x: Any shape `(..., in)`.
        weight: `(out, in)`, as in `torch.nn.Linear`, the dtype of `x`.
        bias: `(out,)`, the dtype of `x`.

    Returns:
        `(..., out)`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match; a CUDA tensor came and nvmath-python is not installed.
    """
    y, _ = operators.linear_gelu(x, weight, bias)
    return y


def gelu_mlp(x: Tensor, weight: Tensor, bias: Tensor, projection: Tensor) -> Tensor:
    """`linear_gelu(x, weight, bias) @ projection.T`: the two GEMMs of a transformer's MLP.

    In the backward, the gradient of the hidden layer is a GEMM itself: GELU's derivative and the gradient of the bias
    are in its epilog (DGELU_BGRAD), and the gradient of the activation never goes to memory.

    Args:
        x: Any shape `(..., in)`.
        weight: `(hidden, in)`, the dtype of `x`.
        bias: `(hidden,)`, the dtype of `x`.
        projection: `(out, hidden)`, the dtype of `x`.

    Returns:
        `(..., out)`.

    Raises:
        RuntimeError: As for `linear_gelu`.
    """
    y, _, _ = operators.gelu_mlp(x, weight, bias, projection)
    return y


_library = torch.library.Library("gpuwheel_sample", "FRAGMENT")
# `pre` is weight @ x.T + bias, transposed: `(rows, out)`, the rows padded.
_library.define("linear_gelu(Tensor x, Tensor weight, Tensor bias) -> (Tensor y, Tensor pre)")
_library.define(
    "linear_gelu_backward(Tensor grad, Tensor x, Tensor weight, Tensor pre) -> (Tensor, Tensor, Tensor)",
)
_library.define(
    "gelu_mlp(Tensor x, Tensor weight, Tensor bias, Tensor projection) -> (Tensor y, Tensor hidden, Tensor pre)",
)
_library.define(
    "gelu_mlp_backward(Tensor grad, Tensor x, Tensor weight, Tensor projection, Tensor hidden, Tensor pre)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
)


def _refuse(name, problem):
    message = f"{name}: {problem}"
    raise RuntimeError(message)


def _check(name, x, weight, **others):
    """Shapes, dtypes and devices; `others` are the bias, and the projection where there is one."""
    if x.dim() == 0:
        _refuse(name, "x has 0 dimensions, at least 1 is expected")
    if not x.is_floating_point() or (x.is_cuda and x.dtype not in _CUDA_DTYPES):
        _refuse(name, f"dtype {x.dtype} is not supported on {x.device.type}")
    if weight.dim() != 2 or weight.shape[1] != x.shape[-1]:  # noqa: PLR2004 (a matrix)
        _refuse(name, f"weight has shape {tuple(weight.shape)}, (out, {x.shape[-1]}) is expected")
    out = weight.shape[0]
    if tuple(others["bias"].shape) != (out,):
        _refuse(name, f"bias has shape {tuple(others['bias'].shape)}, ({out},) is expected")
    projection = others.get("projection")
    if projection is not None and (projection.dim() != 2 or projection.shape[1] != out):  # noqa: PLR2004 (a matrix)
        _refuse(name, f"projection has shape {tuple(projection.shape)}, (out, {out}) is expected")
    for key, tensor in {"weight": weight, **others}.items():
        if tensor.dtype != x.dtype:
            _refuse(name, f"{key} has dtype {tensor.dtype}, x has {x.dtype}: they must be equal")
        if tensor.device != x.device:
            _refuse(name, f"{key} is on {tensor.device}, x on {x.device}: they must be on one device")


def _rows(tensor):
    """All dimensions but the last as one, without copying where the strides allow it."""
    return tensor.reshape(tensor.shape[:-1].numel(), tensor.shape[-1])


def _padded(size):
    return (size + _PADDING - 1) // _PADDING * _PADDING


# --- The CPU, and what cannot be planned: plain torch that rounds where cuBLASLt does ---------------------------------


def _forward_torch(x, weight, bias):
    """`(rows, out)` of y and of the padded pre-activation."""
    wide = accumulate_dtype(x.dtype)
    pre = F.linear(x.to(wide), weight.to(wide), bias.to(wide))
    y = F.gelu(pre, approximate="tanh")
    padding = _padded(pre.shape[1]) - pre.shape[1]
    return y.to(x.dtype), F.pad(pre, (0, padding)).to(x.dtype)


def _backward_torch(grad, pre):
    """Gradients of the pre-activation and of the bias, in the wide dtype."""
    wide = accumulate_dtype(grad.dtype)
    pre = pre[:, : grad.shape[1]].to(wide)
    grad_pre = torch.ops.aten.gelu_backward(grad.to(wide), pre, approximate="tanh")
    return grad_pre, grad_pre.sum(0)


def _matmul_torch(a, b, dtype):
    wide = accumulate_dtype(dtype)
    return (a.to(wide) @ b.to(wide)).to(dtype)


def _linear_gelu_cpu(x, weight, bias):
    _check("linear_gelu", x, weight, bias=bias)
    y, pre = _forward_torch(_rows(x), weight, bias)
    return y.reshape(*x.shape[:-1], weight.shape[0]), pre


def _linear_gelu_backward_cpu(grad, x, weight, pre):
    grad_pre, grad_bias = _backward_torch(_rows(grad), pre)
    grad_x = _matmul_torch(grad_pre, weight, x.dtype).reshape(x.shape)
    return grad_x, _matmul_torch(grad_pre.T, _rows(x), x.dtype), grad_bias.to(x.dtype)


def _gelu_mlp_cpu(x, weight, bias, projection):
    _check("gelu_mlp", x, weight, bias=bias, projection=projection)
    hidden, pre = _forward_torch(_rows(x), weight, bias)
    y = _matmul_torch(hidden, projection.T, x.dtype)
    return y.reshape(*x.shape[:-1], projection.shape[0]), hidden, pre


def _gelu_mlp_backward_cpu(grad, x, weight, projection, hidden, pre):
    grad = _rows(grad)
    grad_hidden = _matmul_torch(grad, projection, accumulate_dtype(x.dtype))
    grad_pre, grad_bias = _backward_torch(grad_hidden, pre)
    grad_x = _matmul_torch(grad_pre, weight, x.dtype).reshape(x.shape)
    grad_weight = _matmul_torch(grad_pre.T, _rows(x), x.dtype)
    return grad_x, grad_weight, grad_bias.to(x.dtype), _matmul_torch(grad.T, hidden, x.dtype)


# --- CUDA: cuBLASLt ---------------------------------------------------------------------------------------------------


def _plannable(*matrices, inner=None):
    """Whether cuBLASLt takes the matrices: none is empty, and the inner dimension of a gradient's epilog is not 1."""
    return all(matrix.numel() for matrix in matrices) and inner != 1


def _forward_nvmath(x, weight, bias):
    y, further = _plans.matmul(weight.contiguous(), x.contiguous().T, "GELU_AUX_BIAS", bias=bias.contiguous())
    return y.T, further["gelu_aux"].T


def _linear_gelu_cuda(x, weight, bias):
    _check("linear_gelu", x, weight, bias=bias)
    rows = _rows(x)
    forward = _forward_nvmath if _plannable(rows, weight) else _forward_torch
    y, pre = forward(rows, weight, bias)
    return y.reshape(*x.shape[:-1], weight.shape[0]), pre


def _linear_gelu_backward_cuda(grad, x, weight, pre):
    rows, grad = _rows(x), _rows(grad)
    if not _plannable(rows, weight, inner=rows.shape[0]):
        return _linear_gelu_backward_cpu(grad, x, weight, pre)
    grad_pre = torch.ops.aten.gelu_backward(grad, pre[:, : grad.shape[1]], approximate="tanh").contiguous()
    grad_weight, further = _plans.matmul(rows.contiguous().T, grad_pre, "BGRADB")
    return (grad_pre @ weight).reshape(x.shape), grad_weight.T, further["bgradb"]


def _gelu_mlp_cuda(x, weight, bias, projection):
    _check("gelu_mlp", x, weight, bias=bias, projection=projection)
    rows = _rows(x)
    forward = _forward_nvmath if _plannable(rows, weight) else _forward_torch
    hidden, pre = forward(rows, weight, bias)
    return (hidden @ projection.T).reshape(*x.shape[:-1], projection.shape[0]), hidden, pre


def _gelu_mlp_backward_cuda(grad, x, weight, projection, hidden, pre):
    rows, grad = _rows(x), _rows(grad)
    if not _plannable(rows, weight, projection, inner=projection.shape[0]):
        return _gelu_mlp_backward_cpu(grad, x, weight, projection, hidden, pre)
    grad_pre, further = _plans.matmul(
        projection.contiguous().T, grad.contiguous().T, "DGELU_BGRAD", gelu_aux=pre.contiguous().T
    )
    grad_pre = grad_pre.T
    return (grad_pre @ weight).reshape(x.shape), grad_pre.T @ rows, further["dgelu_bgrad"], grad.T @ hidden


# --- What torch must know ---------------------------------------------------------------------------------------------


def _pre_like(x, weight):
    return x.new_empty(x.shape[:-1].numel(), _padded(weight.shape[0]))


def _contiguous_like(*tensors):
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in tensors)


def _linear_gelu_fake(x, weight, bias):
    _check("linear_gelu", x, weight, bias=bias)
    return x.new_empty(*x.shape[:-1], weight.shape[0]), _pre_like(x, weight)


def _linear_gelu_backward_fake(grad, x, weight, pre):  # noqa: ARG001 (the schema's arguments)
    return *_contiguous_like(x, weight), weight.new_empty(weight.shape[0])


def _gelu_mlp_fake(x, weight, bias, projection):
    _check("gelu_mlp", x, weight, bias=bias, projection=projection)
    hidden = x.new_empty(x.shape[:-1].numel(), weight.shape[0])
    return x.new_empty(*x.shape[:-1], projection.shape[0]), hidden, _pre_like(x, weight)


def _gelu_mlp_backward_fake(grad, x, weight, projection, hidden, pre):  # noqa: ARG001 (the schema's arguments)
    grad_x, grad_weight, grad_projection = _contiguous_like(x, weight, projection)
    return grad_x, grad_weight, weight.new_empty(weight.shape[0]), grad_projection


def _save_linear_gelu(ctx, inputs, output):
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight, output[1])
    ctx.mark_non_differentiable(output[1])


def _save_gelu_mlp(ctx, inputs, output):
    x, weight, _, projection = inputs
    _, hidden, pre = output
    ctx.save_for_backward(x, weight, projection, hidden, pre)
    ctx.mark_non_differentiable(hidden, pre)


def _register(name, kernels, fakes, save):
    """Both devices, fakes and autograd of an operator and of its backward."""
    for suffix, (cpu, cuda), fake in zip(("", "_backward"), kernels, fakes, strict=True):
        _library.impl(f"{name}{suffix}", cpu, "CPU")
        _library.impl(f"{name}{suffix}", cuda, "CUDA")
        torch.library.register_fake(f"gpuwheel_sample::{name}{suffix}", fake, lib=_library)
    backward = getattr(operators, f"{name}_backward")
    torch.library.register_autograd(
        f"gpuwheel_sample::{name}",
        lambda ctx, grad, *_: backward(grad, *ctx.saved_tensors),
        setup_context=save,
        lib=_library,
    )
    refuse_double_backward(name)


_register(
    "linear_gelu",
    ((_linear_gelu_cpu, _linear_gelu_cuda), (_linear_gelu_backward_cpu, _linear_gelu_backward_cuda)),
    (_linear_gelu_fake, _linear_gelu_backward_fake),
    _save_linear_gelu,
)
_register(
    "gelu_mlp",
    ((_gelu_mlp_cpu, _gelu_mlp_cuda), (_gelu_mlp_backward_cpu, _gelu_mlp_backward_cuda)),
    (_gelu_mlp_fake, _gelu_mlp_backward_fake),
    _save_gelu_mlp,
)
