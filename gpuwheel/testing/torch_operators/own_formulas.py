"""Operators that torch has for CUDA alone, written with those that it has for the CPU.

Their formulas are those of torch's derivatives and of its CUDA kernels (aten/src/ATen/native/cuda/RNN.cu,
layer_norm_kernel.cu); as there, 16-bit numbers are computed in 32 bits and rounded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.testing.torch_operators.refused_operators import OperatorRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["OWN_FORMULAS"]

_MATH = 0
"""The number of `SDPBackend.MATH`."""


def _wide(*tensors: Any) -> list[Any]:
    narrow = (torch.float16, torch.bfloat16)
    return [t.float() if t is not None and t.dtype in narrow else t for t in tensors]


def _attention_form(*_: Any, **__: Any) -> int:
    """Flash and efficient attention are kernels for a GPU alone.

    Raises:
        OperatorRefusedError: the form that is left is switched off.
    """
    if torch.backends.cuda.math_sdp_enabled():
        return _MATH
    msg = "scaled_dot_product_attention cannot run on the pretend GPU but in its math form, which is switched off"
    raise OperatorRefusedError(msg, "add SDPBackend.MATH to the list given to torch.nn.attention.sdpa_kernel")


def _rms_norm_backward(
    grad: Any, x: Any, shape: Sequence[int], rstd: Any, weight: Any, mask: Sequence[bool]
) -> tuple[Any, Any]:
    wide_grad, wide_x, wide_weight, wide_rstd = _wide(grad, x, weight, rstd)
    inner = tuple(range(x.dim() - len(shape), x.dim()))
    outer = tuple(range(x.dim() - len(shape)))
    unit = wide_x * wide_rstd
    scaled = wide_grad if weight is None else wide_grad * wide_weight
    of_x = wide_rstd * (scaled - unit * (scaled * unit).mean(inner, keepdim=True))
    of_weight = None
    if weight is not None and mask[1]:
        product = wide_grad * unit
        of_weight = (product.sum(outer) if outer else product).to(weight.dtype)
    return of_x.to(x.dtype) if mask[0] else None, of_weight


def _lstm_cell(of_x: Any, of_h: Any, c: Any, bias_x: Any = None, bias_h: Any = None) -> tuple[Any, Any, Any]:
    dtype = of_x.dtype
    of_x, of_h, c, bias_x, bias_h = _wide(of_x, of_h, c, bias_x, bias_h)
    gates = of_x + of_h if bias_x is None else of_x + of_h + bias_x + bias_h
    i, f, g, o = gates.chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    new_c = f * c + i * g
    return (o * new_c.tanh()).to(dtype), new_c.to(dtype), torch.cat((i, f, g, o), 1).to(dtype)


def _lstm_cell_backward(
    of_h: Any, of_c: Any, c: Any, new_c: Any, workspace: Any, has_bias: Any
) -> tuple[Any, Any, Any]:
    if of_h is None and of_c is None:
        return None, None, None
    dtype = workspace.dtype
    of_h, of_c, c, new_c, workspace = _wide(of_h, of_c, c, new_c, workspace)
    i, f, g, o = workspace.chunk(4, 1)
    of_h = torch.zeros_like(new_c) if of_h is None else of_h
    t = new_c.tanh()
    of_new_c = of_h * o * (1 - t * t) + (0 if of_c is None else of_c)
    gates = torch.cat(
        (
            of_new_c * g * (1 - i) * i,
            of_new_c * c * (1 - f) * f,
            of_new_c * i * (1 - g * g),
            of_h * t * (1 - o) * o,
        ),
        1,
    ).to(dtype)
    return gates, (of_new_c * f).to(dtype), gates.sum(0) if has_bias else None


def _gru_cell(of_x: Any, of_h: Any, h: Any, bias_x: Any = None, bias_h: Any = None) -> tuple[Any, Any]:
    dtype = of_x.dtype
    of_x, of_h, h, bias_x, bias_h = _wide(of_x, of_h, h, bias_x, bias_h)
    if bias_x is not None:
        of_x, of_h = of_x + bias_x, of_h + bias_h
    (x_r, x_z, x_n), (h_r, h_z, h_n) = of_x.chunk(3, 1), of_h.chunk(3, 1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return (n + z * (h - n)).to(dtype), torch.cat((r, z, n, h, h_n), 1).to(dtype)


def _gru_cell_backward(grad: Any, workspace: Any, has_bias: Any) -> tuple[Any, Any, Any, Any, Any]:
    dtype = grad.dtype
    grad, workspace = _wide(grad, workspace)
    r, z, n, h, h_n = workspace.chunk(5, 1)
    of_z = grad * (h - n) * (1 - z) * z
    of_n = grad * (1 - z) * (1 - n * n)
    of_r = of_n * h_n * (1 - r) * r
    of_x = torch.cat((of_r, of_z, of_n), 1).to(dtype)
    of_h = torch.cat((of_r, of_z, of_n * r), 1).to(dtype)
    biases = (of_x.sum(0), of_h.sum(0)) if has_bias else (None, None)
    return of_x, of_h, (grad * z).to(dtype), *biases


def _product_in(name: str) -> Callable[..., Any]:
    """A product of matrices whose result has another dtype than they have."""
    function = getattr(torch, name)
    count = 2 if name in ("mm", "bmm") else 3

    def product(*arguments: Any, **named: Any) -> Any:
        dtype = arguments[count]
        return function(*(tensor.to(dtype) for tensor in arguments[:count]), **named)

    return product


OWN_FORMULAS: dict[str, Callable[..., Any]] = {
    "_fused_rms_norm_backward": _rms_norm_backward,
    "_fused_sdp_choice": _attention_form,
    "_thnn_fused_gru_cell": _gru_cell,
    "_thnn_fused_gru_cell_backward": _gru_cell_backward,
    "_thnn_fused_lstm_cell": _lstm_cell,
    "_thnn_fused_lstm_cell_backward_impl": _lstm_cell_backward,
    **{
        f"{name}.{kind}": _product_in(name)
        for name in ("addmm", "baddbmm", "bmm", "mm")
        for kind in ("dtype", "dtype_out")
    },
    **{
        f"_use_{library}_ctc_loss{overload}": lambda *_, **__: False
        for library in ("cudnn", "miopen")
        for overload in ("", ".Tensor")
    },
}
"""By the operator's name."""
