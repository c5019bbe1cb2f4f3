"""Operators whose kernel for the CPU does not know 16-bit numbers, as that for CUDA does: they are computed in 32 bits
and rounded once, as CUDA's kernels do.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["in_wider_numbers"]

_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
_BITS_MATTER = ("nextafter", "frexp", "view", "bitwise", "ldexp")
"""What begins so is about the numbers as they are held."""


def in_wider_numbers(name: str, call: Any, shapes: Any, arguments: Any, named: Any) -> Any:
    """The result of an operator that writes none of its arguments, or None where it cannot be had in this way.

    Args:
        name: of the operator.
        call: its kernel for the CPU.
        shapes: the result without memory, which tells the dtypes.
        arguments: tensors of the CPU, and others.
        named: likewise.
    """
    if name.startswith(_BITS_MATTER):
        return None
    wide, wide_named = _mapped(arguments, _widened), _mapped(named, _widened)
    try:
        result = call(wide, wide_named)
    except RuntimeError:
        return None
    if isinstance(result, torch.Tensor):
        return _rounded(result, shapes)
    if isinstance(result, list | tuple):
        return type(result)(_rounded(one, like) for one, like in zip(result, shapes, strict=True))
    return None


def _rounded(result: Any, like: Any) -> Any:
    return result.to(like.dtype) if isinstance(result, torch.Tensor) else result


def _widened(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(_WIDER.get(value.dtype, value.dtype))
    return _WIDER.get(value, value) if isinstance(value, torch.dtype) else value


def _mapped(value: Any, each: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mapped(inner, each) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(inner, each) for inner in value]
    return each(value)
