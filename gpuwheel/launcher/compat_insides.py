"""What `NAME.py` takes of torch's insides, which no release of torch promises, and what it does where one lacks them.

The first part of `NAME.py`. A wheel is for every torch from 2.10 on, those to come among them: each name here is looked
up once, and has a stand-in of what torch documents, which is slower and gives no other value. One thing is lost: a mode
with a `__torch_function__` is then asked about calls that C++ would not tell it of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ("SPACE", "any_overridden", "find_operator", "is_defined", "is_transformed", "untraced", "without_overrides")

SPACE = "gpuwheel_compat"
"""The namespace of the operators that C++ calls; in `NAME.py` with a digest behind it, of what they do."""

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def _inside(path: str) -> Any:
    """What torch has under a dotted name of its own; None where it has nothing of the kind."""
    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


_SET_STRATEGY = _inside("_C._dynamo.eval_frame.set_code_exec_strategy")
_STRATEGY, _ACTION = (_inside(f"_C._dynamo.eval_frame.{name}") for name in ("_FrameExecStrategy", "_FrameAction"))
_OVERLOAD = _inside("_C._get_operation_overload")
_VARIADIC = _inside("_C._has_torch_function_variadic")
_DISABLED = _inside("_C.DisableTorchFunction")
_TRANSFORMED = _inside("_C._are_functorch_transforms_active")


def untraced(function: _Function) -> _Function:
    """The function, run by torch.compile as it is, with all that it calls: it stands for C++, which is not traced."""
    if _SET_STRATEGY is None or _STRATEGY is None or _ACTION is None:
        disabled: _Function = torch.compiler.disable(function)
        return disabled
    _SET_STRATEGY(function.__code__, _STRATEGY(_ACTION.SKIP, _ACTION.SKIP))
    return function


def find_operator(space: str, name: str, overload: str) -> Callable[..., Any]:
    """An operator, without the frames of Python that `torch.ops` puts before it."""
    if _OVERLOAD is not None:
        operator: Callable[..., Any] = _OVERLOAD(f"{space}::{name}", overload)[0]
        return operator
    by_name: Callable[..., Any] = getattr(getattr(getattr(torch.ops, space), name), overload or "default")
    return by_name


def any_overridden(*values: Any) -> bool:
    """Whether a value, or a mode, has a `__torch_function__` that torch would ask."""
    return bool(torch.overrides.has_torch_function(values))


if _VARIADIC is not None:
    any_overridden = _VARIADIC


def without_overrides() -> AbstractContextManager[Any]:
    """Where torch asks no `__torch_function__`: C++ knows none, of subclasses or of modes."""
    # The second is in torch's docs ("Extending PyTorch"); modes go on there.
    off: AbstractContextManager[Any] = torch._C.DisableTorchFunctionSubclass() if _DISABLED is None else _DISABLED()
    return off


def is_transformed() -> bool:
    """Whether torch.func is at work (vmap, grad, jvp)."""
    return False if _TRANSFORMED is None else bool(_TRANSFORMED())


def is_defined(operator: str) -> bool:
    """Whether "space::name" is there."""
    space, _, name = operator.partition("::")
    return hasattr(getattr(torch.ops, space), name)
