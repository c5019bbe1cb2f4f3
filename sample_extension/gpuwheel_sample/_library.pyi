from typing import Protocol

from torch import Tensor

class _Operators(Protocol):
    def add_rms_norm(
        self, x: Tensor, residual: Tensor, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]: ...
    def add_rms_norm_backward(
        self, grad_y: Tensor, grad_sum: Tensor | None, sum: Tensor, weight: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]: ...

operators: _Operators

def refuse_double_backward(name: str) -> None: ...
