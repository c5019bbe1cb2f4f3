"""One call's tensors: those of the device as tensors of the CPU on the same memory, and results back on the device."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import Any

import torch

from gpuwheel.testing.torch_operators.layouts import is_compound, rebuilt, take_over

__all__ = ["DeviceMemory"]

_CPU = torch.device("cpu")
_empty = torch.ops.aten.empty.memory_format
_set = torch.ops.aten.set_.source_Storage_storage_offset
_storage_at = torch._C._construct_storage_from_data_pointer
_tensor_on = torch._C._construct_CUDA_Tensor_From_Storage_And_Metadata


class DeviceMemory:
    """What one call of an operator touches. Storages that several tensors share stay shared on either side: torch looks
    for overlaps there.
    """

    def __init__(self) -> None:
        self._storages: dict[int, tuple[Any, Any]] = {}  # data pointer and size on the device -> CPU's, device's
        self._known: dict[int, Any] = {}  # id of a tensor of the device -> its alias
        self._made: dict[int, tuple[Any, Any]] = {}  # storage of the CPU -> on the device
        self.aliases: dict[int, tuple[Any, Any]] = {}
        """id of an alias -> it, and the tensor of the device."""
        self.new: list[Any] = []
        """Results whose memory was made for them."""

    def alias(self, tensor: Any) -> Any:
        """A tensor of the CPU on the memory of one of the device, the same for the same: operators ask for that."""
        known = self._known.get(id(tensor))
        if known is not None:
            return known
        self._known[id(tensor)] = made = rebuilt(tensor, self.alias) if is_compound(tensor) else self._strided(tensor)
        self.aliases[id(made)] = made, tensor
        return made

    def _strided(self, tensor: Any) -> Any:
        if tensor._is_zerotensor():  # of forward derivatives: it has no memory
            return torch.zeros(tensor.size(), dtype=tensor.dtype, device=_CPU)
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._storages:
            self._storages[key] = (_storage_at(storage.data_ptr(), _CPU, storage.nbytes()), storage)
        made = _of_storage(self._storages[key][0], tensor)
        if tensor.is_conj():
            torch._C._set_conj(made, True)
        if tensor.is_neg():
            torch._C._set_neg(made, True)
        return made

    def on_device(self, result: Any, device: torch.device) -> Any:
        """A result of the CPU, on the device: an argument itself, a view of its memory, or new memory."""
        if id(result) in self.aliases:
            return self.aliases[id(result)][1]
        if is_compound(result):
            return rebuilt(result, partial(self.on_device, device=device))
        storage = result.untyped_storage()
        for own, of_device in self._storages.values():
            if own._cdata == storage._cdata:
                return _tensor_of(of_device, result)
        key = storage._cdata
        if key not in self._made:
            size = storage.nbytes()
            memory = _empty([size], dtype=torch.uint8, device=device).untyped_storage()
            if size:
                ctypes.memmove(memory.data_ptr(), storage.data_ptr(), size)
            self._made[key] = memory, storage  # the latter is kept: another one must not get its address
        self.new.append(_tensor_of(self._made[key][0], result))
        return self.new[-1]

    def resize_as_aliases(self) -> None:
        """Give tensors of the device what their aliases were given, as it is with `out=`: shape and conjugation."""
        for made, tensor in list(self.aliases.values()):
            if made.is_conj() != tensor.is_conj():
                torch._C._set_conj(tensor, made.is_conj())
            if is_compound(tensor):
                take_over(tensor, rebuilt(made, partial(self.on_device, device=tensor.device)))
            elif made.shape != tensor.shape or made.stride() != tensor.stride():
                tensor.resize_(made.shape)
                if made.stride() != tensor.stride():
                    tensor.as_strided_(made.shape, made.stride(), made.storage_offset())

    def replace(self, tensor: Any, result: Any) -> None:
        """Resize a tensor of the device, and write into it what an operator made elsewhere and may return."""
        if tensor.shape != result.shape:
            tensor.resize_(result.shape)
            if tensor.stride() != result.stride() and tensor.numel():
                tensor.as_strided_(result.shape, result.stride(), tensor.storage_offset())
        DeviceMemory().alias(tensor).copy_(result)
        self.aliases[id(result)] = result, tensor


def _of_storage(storage: Any, like: Any) -> Any:
    made = _empty([0], dtype=like.dtype, device=_CPU)
    return _set(made, storage, like.storage_offset(), like.size(), like.stride())


def _tensor_of(storage: Any, like: Any) -> Any:
    facts = {
        "dtype": like.dtype,
        "size": tuple(like.size()),
        "stride": tuple(like.stride()),
        "storage_offset": like.storage_offset(),
    }
    made = _tensor_on(facts, storage)
    if like.is_conj():
        torch._C._set_conj(made, True)
    if like.is_neg():
        torch._C._set_neg(made, True)
    return made
