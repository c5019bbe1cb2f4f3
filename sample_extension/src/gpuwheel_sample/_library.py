"""Loads the compiled operators; `operators` is `torch.ops.gpuwheel_sample` (typed in `_library.pyi`)."""

import importlib.util

import torch

__all__ = ["accumulate_dtype", "like", "operators", "refuse_double_backward"]

_spec = importlib.util.find_spec("gpuwheel_sample._C")  # finds it in an editable install too
if _spec is None or _spec.origin is None:
    _message = "gpuwheel_sample._C is missing: the package was not built (pip install .)"
    raise ImportError(_message)
torch.ops.load_library(_spec.origin)

operators = torch.ops.gpuwheel_sample


def accumulate_dtype(dtype):
    """The dtype in which an operator adds up."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def like(tensor):
    """What an operator returns for `tensor`: its shape and dtype, contiguous."""
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def refuse_double_backward(name):
    """Make differentiating the gradient of operator `name` an error that says so."""

    def backward(ctx, *grads):  # noqa: ARG001 (the signature is torch's)
        message = f"{name}: cannot be differentiated twice (its backward has no derivative)"
        raise RuntimeError(message)

    torch.library.register_autograd(f"gpuwheel_sample::{name}_backward", backward)
