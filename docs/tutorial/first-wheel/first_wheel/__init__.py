"""alpha * x + y, in one kernel."""

from __future__ import annotations

import importlib.util

import torch

__all__ = ["axpy"]

torch.ops.load_library(importlib.util.find_spec("first_wheel._C").origin)


@torch.library.register_fake("first_wheel::axpy")
def _axpy_fake(x: torch.Tensor, y: torch.Tensor, alpha: float) -> torch.Tensor:
    del y, alpha
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def axpy(x: torch.Tensor, y: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return `alpha * x + y` for two tensors of one shape, dtype and device."""
    return torch.ops.first_wheel.axpy(x, y, alpha)
