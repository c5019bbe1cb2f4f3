"""Which of torch's operators are replaced, and by what."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from gpuwheel.testing.torch_operators.operator_calls import Operator
from gpuwheel.testing.torch_operators.own_formulas import OWN_FORMULAS
from gpuwheel.testing.torch_operators.refused_operators import Refused

__all__ = ["replace_operators"]

_NATIVE = {
    "_efficientzerotensor",
    "_local_scalar_dense",
    "_pin_memory",
    "_resize_output_",
    "empty",
    "empty_strided",
    "is_pinned",
    "is_set_to",
    "record_stream",
    "resize_",
    "set_",
}
"""These launch no kernel: they allocate, copy by the driver, or look at a tensor alone."""
_COMPOSITE = ("_convolution", "convolution", "convolution_backward", "copy_")
"""Registered for every backend at once, and launch kernels for CUDA below the dispatcher's sight."""
_has = torch._C._dispatch_has_kernel_for_dispatch_key
_computed = torch._C._dispatch_has_computed_kernel_for_dispatch_key
_library: Any = None


def replace_operators() -> None:
    """Replace them in this process; a second time it does nothing."""
    global _library  # noqa: PLW0603 - what is registered ends with the library
    if _library is not None:
        return
    _library = torch.library.Library("aten", "IMPL")
    # What is left are torch's own kernels, which have twins for the CPU.
    torch.backends.cudnn.enabled = False
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that a kernel is overridden
        for full in sorted(torch._C._dispatch_get_all_op_names()):
            space, _, name = full.partition("::")
            if space == "aten" and (_has(full, "CUDA") or name in _COMPOSITE):
                run = _in_place_of(full, name)
                if run is not None:
                    _library.m.impl(name, "CUDA", run, False)


def _in_place_of(full: str, name: str) -> Any:
    base, _, overload = name.partition(".")
    operator = getattr(getattr(torch.ops.aten, base), overload or "default")
    if base in _NATIVE or operator.is_view:
        return None
    if name in OWN_FORMULAS:
        return Operator(name, operator, OWN_FORMULAS[name])
    return Operator(name, operator) if _computed(full, "CPU") else Refused(name)
