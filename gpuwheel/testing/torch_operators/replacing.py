"""Which of torch's operators are replaced, and by what."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from gpuwheel.testing.torch_operators.cpu_kernels import kernel_for_the_cpu
from gpuwheel.testing.torch_operators.operator_calls import Operator
from gpuwheel.testing.torch_operators.own_formulas import OWN_FORMULAS
from gpuwheel.testing.torch_operators.refused_operators import Refused

__all__ = ["replace_operators"]

_ALONE = {
    *("_efficientzerotensor", "_local_scalar_dense", "_pin_memory", "_resize_output_", "empty", "empty_like"),
    *("empty_strided", "is_pinned", "is_same_size", "is_set_to", "record_stream", "resize_", "set_"),
    *("_coalesced_", "_dimI", "_dimV", "_nnz", "_sparse_coo_tensor_with_dims", "dense_dim", "is_coalesced"),
    *("_sparse_coo_tensor_with_dims_and_tensors", "sparse_dim", "sparse_resize_", "sparse_resize_and_clear_"),
    *("_nested_tensor_size", "_nested_tensor_storage_offsets", "_nested_tensor_strides"),
}
"""These launch no kernel: they allocate, copy by the driver, or look at a tensor alone."""
_QUANTIZED = ("_empty_affine_quantized", "_empty_per_channel_affine_quantized", "_make_per_", "quantize_per_")
"""What quantized tensors of the device begin with. torch/ao, which works on floats, does not need them."""
_COMPOSITE = ("_convolution", "conj_physical_", "convolution", "convolution_backward", "copy_", "mode.values")
"""Registered for every backend at once, and launch kernels for CUDA below the dispatcher's sight."""
_LAYOUTS = ("", "Sparse", "SparseCsr", "NestedTensor")
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
    names = sorted(full for full in torch._C._dispatch_get_all_op_names() if full.startswith("aten::"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that a kernel is overridden
        for full in names:
            for layout in _LAYOUTS:
                if _has(full, f"{layout}CUDA") or (not layout and full.removeprefix("aten::") in _COMPOSITE):
                    _replace(full, layout)


def _replace(full: str, layout: str) -> None:
    name = full.removeprefix("aten::")
    base, _, overload = name.partition(".")
    operator = getattr(getattr(torch.ops.aten, base), overload or "default")
    if base in _ALONE or operator.is_view:
        return
    run: Operator | Refused
    if base.startswith(_QUANTIZED):
        run = Refused(name, "quantized tensors are not known there")
    elif name in OWN_FORMULAS:
        run = Operator(name, operator, OWN_FORMULAS[name])
    elif _computed(full, f"{layout}CPU"):
        run = Operator(name, operator, kernel_for_the_cpu(name, operator, layout))
    else:
        run = Refused(name)
    _library.m.impl(name, f"{layout}CUDA", run, False)
