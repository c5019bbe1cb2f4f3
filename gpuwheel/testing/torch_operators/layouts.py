"""Sparse and nested tensors: what they consist of are strided tensors, and those are taken to the CPU and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_compound", "parts_of", "rebuilt", "take_over"]

_BY_ROWS = (torch.sparse_csr, torch.sparse_bsr)
_parts_of_coo = torch.ops.aten._indices.default, torch.ops.aten._values.default
_coo = torch.ops.aten._sparse_coo_tensor_unsafe.default
_compressed = torch.ops.aten._sparse_compressed_tensor_unsafe.default
_is_coalesced = torch.ops.aten.is_coalesced.default
_buffer_of = torch.ops.aten.values.default
_nested = torch.ops.aten._nested_view_from_buffer.default


def is_compound(tensor: Any) -> bool:
    """Whether a tensor has other tensors in the place of a storage."""
    return tensor.layout is not torch.strided or tensor.is_nested


def rebuilt(tensor: Any, each: Callable[[Any], Any]) -> Any:
    """The same tensor with other parts: `each` of its own."""
    with torch._C._AutoDispatchBelowAutograd():
        if tensor.is_nested:
            shapes = (tensor._nested_tensor_size(), tensor._nested_tensor_strides())
            return _nested(each(_buffer_of(tensor)), *shapes, tensor._nested_tensor_storage_offsets())
        if tensor.layout is torch.sparse_coo:
            parts = [each(part(tensor)) for part in _parts_of_coo]
            return _coo(*parts, tensor.shape, **_kind(tensor, parts), is_coalesced=_is_coalesced(tensor))
        by_rows = tensor.layout in _BY_ROWS
        outer = tensor.crow_indices() if by_rows else tensor.ccol_indices()
        inner = tensor.col_indices() if by_rows else tensor.row_indices()
        parts = [each(part) for part in (outer, inner, tensor.values())]
        return _compressed(*parts, tensor.shape, **_kind(tensor, parts))


def parts_of(tensor: Any) -> list[Any]:
    """The strided tensors that a tensor consists of: itself, if it is one."""
    if not is_compound(tensor):
        return [tensor]
    found: list[Any] = []

    def note(part: Any) -> Any:
        found.append(part)
        return part

    rebuilt(tensor, note)
    return found


def _kind(tensor: Any, parts: list[Any]) -> dict[str, Any]:
    return {"dtype": tensor.dtype, "layout": tensor.layout, "device": parts[-1].device}


def take_over(tensor: Any, result: Any) -> None:
    """Give a sparse tensor the parts of another one, which an operator put into it."""
    if not tensor.is_nested:
        tensor.data = result
