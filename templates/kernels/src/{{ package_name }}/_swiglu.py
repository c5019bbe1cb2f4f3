"""SwiGLU, the gate of the MLPs of Llama and its descendants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ._launch import THREADS, elements_of, kernel, vector_width
from ._library import accumulate_dtype, check, like, operators, save_for_backward, twice

if TYPE_CHECKING:
    from torch import Tensor

    from ._launch import Matrices

__all__ = ["swiglu"]


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """`silu(gate) * up` (Shazeer 2020).

    Args:
        gate: Any shape. Halves of one tensor (`x.chunk(2, -1)`) are read where they lie.
        up: Shape and dtype of `gate`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, or the dtype is not supported.
    """
    return _forward(gate, up)


def _check(gate: Tensor, up: Tensor) -> None:
    check("swiglu", gate, up=(up, gate.shape))


def _tiles(inputs: Matrices, *results: Tensor) -> tuple[int, int]:
    """Elements of a load, and blocks of a row. A single row need not be whole vectors: no other begins within one."""
    width = vector_width((*results, *inputs.tensors), (inputs.size, *inputs.strides) if inputs.rows > 1 else ())
    return width, -(-inputs.size // (THREADS * width))


def _forward_cuda(gate: Tensor, up: Tensor) -> Tensor:
    _check(gate, up)
    out = like(gate)
    if out.numel():
        inputs = elements_of(gate, up)
        width, tiles = _tiles(inputs, out)
        launch = kernel("swiglu", gate.dtype, width)
        launch(out, *inputs.tensors, inputs.size, *inputs.strides, tiles, grid=inputs.rows * tiles, block=THREADS)
    return out


def _forward_cpu(gate: Tensor, up: Tensor) -> Tensor:
    _check(gate, up)
    wide = accumulate_dtype(gate.dtype)
    return (functional.silu(gate.to(wide)) * up.to(wide)).to(gate.dtype).contiguous()


def _forward_fake(gate: Tensor, up: Tensor) -> Tensor:
    _check(gate, up)
    return like(gate)


def _backward_cuda(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    grad_gate, grad_up = like(gate), like(up)
    if gate.numel():
        inputs = elements_of(grad, gate, up)
        width, tiles = _tiles(inputs, grad_gate, grad_up)
        launch = kernel("swiglu_backward", gate.dtype, width)
        grads, numbers = (grad_gate, grad_up), (inputs.size, *inputs.strides, tiles)
        launch(*grads, *inputs.tensors, *numbers, grid=inputs.rows * tiles, block=THREADS)
    return grad_gate, grad_up


def _backward_cpu(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    wide, narrow = accumulate_dtype(gate.dtype), gate.dtype
    grad, gate, up = grad.to(wide), gate.to(wide), up.to(wide)
    sigmoid = torch.sigmoid(gate)
    grad_gate = grad * up * sigmoid * (1 + gate * (1 - sigmoid))
    return grad_gate.to(narrow).contiguous(), (grad * gate * sigmoid).to(narrow).contiguous()


def _backward_fake(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return like(gate), like(up)


_backward = operators.register(
    "swiglu_backward(Tensor grad, Tensor gate, Tensor up) -> (Tensor, Tensor)",
    cuda=_backward_cuda,
    cpu=_backward_cpu,
    fake=_backward_fake,
    backward=twice("swiglu"),
)
_forward = operators.register(
    "swiglu(Tensor gate, Tensor up) -> Tensor",
    cuda=_forward_cuda,
    cpu=_forward_cpu,
    fake=_forward_fake,
    backward=lambda ctx, grad: _backward(grad, *ctx.saved_tensors),
    setup_context=save_for_backward,
)
