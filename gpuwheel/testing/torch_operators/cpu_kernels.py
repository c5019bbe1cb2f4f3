"""torch's kernel of an operator for tensors of the CPU, called with what the dispatcher hands to Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kernel_for_the_cpu"]

_KEYS = ("CompositeExplicitAutogradNonFunctional", "CompositeExplicitAutograd", "CompositeImplicitAutograd")
"""Where it may be registered, in the order that the dispatcher prefers."""


def kernel_for_the_cpu(name: str, operator: Any, layout: str = "") -> Callable[..., Any]:
    """Call it past autograd and profilers, which saw the call for the device.

    Args:
        name: with the overload, "add.Tensor".
        operator: of `torch.ops`.
        layout: "Sparse", "SparseCsr", "NestedTensor"; nothing: strided.
    """
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    key = getattr(torch._C.DispatchKey, next(key for key in (f"{layout}CPU", *_KEYS) if has(f"aten::{name}", key)))
    call = operator._op_dk
    if torch._C._should_allow_numbers_as_tensors(name.partition(".")[0]):
        return lambda *arguments, **named: call(key, *arguments, **named)
    places = [i for i, argument in enumerate(operator._schema.arguments) if str(argument.type) == "Tensor"]
    return lambda *arguments, **named: call(key, *_without_numbers(arguments, places), **named)


def _without_numbers(arguments: Any, places: list[int]) -> Any:
    """Numbers of Python code arrive here as numbers where a schema says Tensor. As tensors of one value, too, they do
    not decide the dtype of a result.
    """
    numbers = [i for i in places if i < len(arguments) and isinstance(arguments[i], (int, float, complex))]
    if not numbers:
        return arguments
    like = next((argument for argument in arguments if isinstance(argument, torch.Tensor)), None)
    made = list(arguments)
    for place in numbers:
        made[place] = torch.tensor(made[place], dtype=_dtype_of(made[place], like), device="cpu")
    return made


def _dtype_of(number: complex, like: Any) -> torch.dtype | None:
    if like is None or like.dtype is torch.bool or (isinstance(number, complex) and not like.is_complex()):
        return None
    if isinstance(number, float) and not (like.is_floating_point() or like.is_complex()):
        return None
    dtype: torch.dtype = like.dtype
    return dtype
