"""GEMMs with an epilog: cuBLASLt, by nvmath-python; and the same in plain torch. All matrices have two dimensions.

cuBLASLt adds a bias along the rows of a column-major result. Operands are therefore passed transposed: `weight @ x.T`
in column-major order is `x @ weight.T` in row-major order, and nothing is copied.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ._plans import accelerated, layout, plans, require

__all__ = ["Engine", "engine", "gelu_gradient", "padded_size"]

_PADDING = 8
"""cuBLASLt keeps what went into GELU in rows of a multiple of 8."""


class Engine(Protocol):
    """What the operators need of GEMMs."""

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
        padded = F.pad(pre, (0, padded_size(pre.shape[1]) - pre.shape[1]))
        return F.gelu(pre, approximate="tanh").to(x.dtype), padded.to(x.dtype)

    def parameters(self, grad: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        grad = _wide(grad)
        return (grad.T @ _wide(x)).to(x.dtype), grad.sum(0).to(x.dtype)

    def hidden(self, grad: Tensor, projection: Tensor, pre: Tensor) -> tuple[Tensor, ...]:
        grad_hidden = _wide(grad) @ _wide(projection)
        grad_pre = gelu_gradient(grad_hidden, _wide(pre[:, : projection.shape[1]]))
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


def engine(*matrices: Tensor, inner: int = 0) -> Engine:
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


def gelu_gradient(grad: Tensor, pre: Tensor) -> Tensor:
    """The gradient of what goes into GELU (tanh form)."""
    result: Tensor = torch.ops.aten.gelu_backward(grad, pre, approximate="tanh")
    return result


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def padded_size(size: int) -> int:
    return (size + _PADDING - 1) // _PADDING * _PADDING
