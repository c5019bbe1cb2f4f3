"""Operators whose kernel for the CPU does not know 16-bit numbers, as that for CUDA does: they are computed in 32 bits
and rounded once, as CUDA's kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["Wider", "in_wider_numbers"]

_NARROW = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
_WIDER = (_NARROW, {**_NARROW, torch.bool: torch.int32})
"""The second is for kernels that refuse truth values."""
_BITS_MATTER = ("nextafter", "frexp", "view", "bitwise", "ldexp")
"""What begins so is about the numbers as they are held."""


@dataclass
class Wider:
    """A call with wider tensors."""

    dtypes: dict[torch.dtype, torch.dtype]
    copies: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    """id of a tensor -> it, and its copy."""
    result: Any = None

    def of(self, tensors: list[Any]) -> list[Any]:
        """The copies of tensors, with what was written into them."""
        return [self.copies[id(tensor)][1] for tensor in tensors]

    def widened(self, value: Any) -> Any:
        """An argument as the kernel is given it; the same for the same tensor."""
        if isinstance(value, torch.Tensor):
            if id(value) not in self.copies:
                self.copies[id(value)] = value, value.to(self.dtypes.get(value.dtype, value.dtype), copy=True)
            return self.copies[id(value)][1]
        if isinstance(value, dict):
            return {name: self.widened(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.widened(inner) for inner in value]
        return self.dtypes.get(value, value) if isinstance(value, torch.dtype) else value

    def narrowed(self, result: Any) -> Any:
        """A result in the numbers that the arguments had; copies of these are left as they are."""
        if isinstance(result, list | tuple):
            return type(result)(self.narrowed(one) for one in result)
        if not isinstance(result, torch.Tensor) or any(result is copy for _, copy in self.copies.values()):
            return result
        back = {self.dtypes[t.dtype]: t.dtype for t, _ in self.copies.values() if t.dtype in self.dtypes}
        return result.to(back.get(result.dtype, result.dtype))


def in_wider_numbers(name: str, call: Any, shapes: Any, arguments: Any, named: Any) -> Wider | None:
    """A call of an operator in wider numbers, or None where it cannot be had in this way.

    Args:
        name: of the operator.
        call: its kernel for the CPU.
        shapes: the result without memory, which tells the dtypes; None: not known, so that of its narrow arguments.
        arguments: tensors of the CPU, and others.
        named: likewise.
    """
    if name.startswith(_BITS_MATTER):
        return None
    for dtypes in _WIDER:
        wider = Wider(dtypes)
        try:
            result = call(wider.widened(arguments), wider.widened(named))
        except RuntimeError:
            continue
        if shapes is None:
            wider.result = wider.narrowed(result)
        elif isinstance(result, torch.Tensor):
            wider.result = _rounded(result, shapes)
        elif isinstance(result, list | tuple):
            wider.result = type(result)(_rounded(one, like) for one, like in zip(result, shapes, strict=True))
        else:
            return None
        return wider
    return None


def _rounded(result: Any, like: Any) -> Any:
    return result.to(like.dtype) if isinstance(result, torch.Tensor) else result
