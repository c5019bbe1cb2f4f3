"""GEMMs with a fused epilog, through nvmath-python: each problem is planned once, and its plan kept.

A plan of cuBLASLt costs far more than the call it is for. It depends on shapes, strides, dtype, device and on how the
operands are aligned, and may only be used by the thread that made it: that is the key.
"""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["NvmathPlanner", "Plan", "PlanCache", "Planner"]

_KEPT = 128
"""Plans per thread. One holds a few KB: it gives up its workspace after each call."""
_ALIGNMENT = 256
"""Bytes: nothing gets faster by more."""


class Plan(Protocol):
    """A GEMM that is ready to run on operands like those it was planned with."""

    def run(self, a: Tensor, b: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """`a @ b` with its epilog, on the current stream: the result and what else the epilog gives, by name."""

    def free(self) -> None:
        """Give up what the plan holds."""


class Planner(Protocol):
    """What makes plans: nvmath-python; in the tests, plain torch that keeps to the same layouts."""

    def plan(self, a: Tensor, b: Tensor, epilog: str, inputs: Mapping[str, Tensor]) -> Plan:
        """Plan `a @ b` with an epilog of cuBLASLt, for example "GELU_AUX_BIAS"."""


class NvmathPlanner:
    """Plans by `nvmath.linalg.advanced`, which is imported when the first one is made."""

    def plan(self, a: Tensor, b: Tensor, epilog: str, inputs: Mapping[str, Tensor]) -> Plan:
        """Plan `a @ b`.

        Raises:
            RuntimeError: nvmath-python is not installed.
        """
        try:
            from nvmath.linalg import advanced  # noqa: PLC0415 (an optional dependency)
        except ImportError as error:
            major = (torch.version.cuda or "13").partition(".")[0]
            message = (
                f"nvmath-python is not installed (this operator needs it on CUDA): "
                f"pip install 'gpuwheel-sample[cu{major}]'"
            )
            raise RuntimeError(message) from error
        matmul = advanced.Matmul(a, b)
        matmul.plan(epilog=advanced.MatmulEpilog[epilog], epilog_inputs=dict(inputs))
        return _NvmathPlan(matmul)


class _NvmathPlan:
    def __init__(self, matmul) -> None:
        self._matmul = matmul

    def run(self, a: Tensor, b: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        # The key of the cache is what nvmath would check; the operands must not live as long as the plan.
        self._matmul.reset_operands_unchecked(a=a, b=b, epilog_inputs=dict(inputs) or None)
        try:
            # A workspace kept from call to call would be shared by streams, and by CUDA graphs.
            return self._matmul.execute(release_workspace=True)
        finally:
            self._matmul.release_operands()

    def free(self) -> None:
        self._matmul.free()


class PlanCache:
    """The plans of each thread, the ones used last kept longest."""

    def __init__(self, planner: Planner, kept: int = _KEPT) -> None:
        self.planner = planner
        self._kept = kept
        self._of_thread = threading.local()

    def matmul(self, a: Tensor, b: Tensor, epilog: str, **inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """`a @ b` with an epilog: the result, column-major, and what else the epilog gives, by name."""
        plan = self._plan(
            (epilog, *map(_layout, (a, b, *inputs.values()))), lambda: self.planner.plan(a, b, epilog, inputs)
        )
        return plan.run(a, b, inputs)

    def _plan(self, key: tuple, make: Callable[[], Plan]) -> Plan:
        plans = self._of_thread.__dict__.setdefault("plans", collections.OrderedDict())
        if key in plans:
            plans.move_to_end(key)
        else:
            plans[key] = make()
            if len(plans) > self._kept:
                plans.popitem(last=False)[1].free()
        return plans[key]


def _layout(tensor: Tensor) -> tuple:
    """What a plan depends on of one operand."""
    address = tensor.data_ptr()
    alignment = min(_ALIGNMENT, address & -address) if address else _ALIGNMENT
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device, alignment
