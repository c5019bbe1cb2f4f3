"""Kernels of a cubin: an ELF file of NVIDIA's machine (EM_CUDA), ABI 7 (sm_75 to sm_90) and 8 (sm_100 on).

Sections read: `.text.K` (code), `.nv.shared.K` (static shared memory), `.nv.info` and `.nv.info.K` (attributes).
The attribute numbers are those that `cuobjdump -elf` prints by name; tests compare the result with
`cuobjdump -res-usage`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel.binary.elf_headers import NOTHING
from gpuwheel.binary.elf_reader import Elf
from gpuwheel.binary.spills import MIN_STACK_SIZE, spilled
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import KernelCost, KernelFacts, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_cubin"]

_EM_CUDA = 190
_INFO = ".nv.info"

# EIFMT: how the value of an attribute is stored. All but SVAL are two bytes in place of a size.
_EIFMT_SVAL = 0x04
# EIATTR
_FRAME_SIZE = 0x11
_KPARAM_INFO = 0x17
_KPARAM_INFO_V2 = 0x45  # what tileiras writes
_REGCOUNT = 0x2F


def read_cubin(data: bytes, subject: str) -> tuple[KernelFacts, ...]:
    """The kernels of a cubin, in order of symbol.

    Args:
        data: the file.
        subject: what to call it in an error.

    Raises:
        CompileError: it is not a cubin, or it is cut short.
    """
    # We wrote this file ourselves, moments ago or into the cache: nobody else can be at fault.
    hint = "delete gpuwheel's cache folder and build again; if it stays, report it"
    with reading(f"{subject} is not a readable cubin", "code of one GPU architecture", error=CompileError, hint=hint):
        return _read(data)


def _read(data: bytes) -> tuple[KernelFacts, ...]:
    elf = Elf(data)
    if elf.machine != _EM_CUDA:
        msg = f"ELF machine {elf.machine}, expected {_EM_CUDA}"
        raise ValueError(msg)
    sections = elf.sections
    names = [name.removeprefix(f"{_INFO}.") for name in sections if name.startswith(f"{_INFO}.")]
    per_kernel: dict[int, dict[str, int]] = {_REGCOUNT: {}, _FRAME_SIZE: {}, MIN_STACK_SIZE: {}}
    if names:
        # Attributes of `.nv.info` name a function by its row in the symbol table.
        symbols = {symbol.place: symbol.name for symbol in elf.symbols(".symtab")}
        for attribute, value in _attributes(sections[_INFO].data):
            if attribute in per_kernel:
                index, number = struct.unpack("<II", value)
                per_kernel[attribute][symbols[index]] = number
    return tuple(
        KernelFacts(
            symbol=name,
            parameters=_parameters(sections[f"{_INFO}.{name}"].data),
            cost=KernelCost(
                bytes=sections[f".text.{name}"].size,
                registers=per_kernel[_REGCOUNT][name],
                # SHT_NOBITS: its size is in the header alone.
                shared=sections.get(f".nv.shared.{name}", NOTHING).size,
                local=per_kernel[_FRAME_SIZE].get(name, 0),
            ),
            spilled=spilled(
                _attributes(sections[f"{_INFO}.{name}"].data),
                sections[f".text.{name}"].data,
                per_kernel[MIN_STACK_SIZE].get(name),
            ),
        )
        for name in sorted(names)
        # A function that is called, not inlined, has attributes as well; only kernels have a register count there
        # and parameters in constant bank 0.
        if f".nv.constant0.{name}" in sections
    )


def _attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(attribute, value) of one `.nv.info` section."""
    position = 0
    while position < len(data):
        form, attribute, size = struct.unpack_from("<BBH", data, position)
        position += 4
        if form == _EIFMT_SVAL:
            yield attribute, data[position : position + size]
            position += size


def _parameters(info: memoryview) -> tuple[Parameter, ...]:
    parameters: dict[int, Parameter] = {}
    for attribute, value in _attributes(info):
        if attribute == _KPARAM_INFO:
            _index, ordinal, offset, packed = struct.unpack("<IHHI", value)
            parameters[ordinal] = Parameter(offset, size=packed >> 18)  # the low bits: space and alignment
        elif attribute == _KPARAM_INFO_V2:
            _index, ordinal, offset, size, _flags = struct.unpack("<IHHHH", value)
            parameters[ordinal] = Parameter(offset, size)
    return tuple(parameters[ordinal] for ordinal in sorted(parameters))
