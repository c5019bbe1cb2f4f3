"""Kernels of a cubin: an ELF file of NVIDIA's machine (EM_CUDA), ABI 7 (sm_75 to sm_90) and 8 (sm_100 on).

Sections read: `.text.K` (code), `.nv.shared.K` (static shared memory), `.nv.info` and `.nv.info.K` (attributes).
The attribute numbers are those that `cuobjdump -elf` prints by name; tests compare the result with
`cuobjdump -res-usage`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel._limits import ELF_STRINGS, SYMBOL_NAME
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import KernelCost, KernelFacts, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_cubin"]

_EM_CUDA = 190
_SHT_NOBITS = 8
_INFO = ".nv.info"
_SYMBOL_SIZE = 24

# EIFMT: how the value of an attribute is stored. All but SVAL are two bytes in place of a size.
_EIFMT_SVAL = 0x04
# EIATTR
_FRAME_SIZE = 0x11
_KPARAM_INFO = 0x17
_KPARAM_INFO_V2 = 0x45  # what tileiras writes
_REGCOUNT = 0x2F


@dataclass(frozen=True)
class _Section:
    data: memoryview
    size: int


def read_cubin(data: bytes, subject: str) -> tuple[KernelFacts, ...]:
    """The kernels of a cubin, in order of symbol.

    Args:
        data: the file.
        subject: what to call it in an error.

    Raises:
        CompileError: it is not a cubin, or it is cut short.
    """
    hint = "delete gpuwheel's cache folder and build again; if it stays, report it"
    with reading(f"{subject} is not a readable cubin", "code of one GPU architecture", error=CompileError, hint=hint):
        return _read(data)


def _read(data: bytes) -> tuple[KernelFacts, ...]:
    sections = _sections(data)
    names = [name.removeprefix(f"{_INFO}.") for name in sections if name.startswith(f"{_INFO}.")]
    per_kernel: dict[int, dict[str, int]] = {_REGCOUNT: {}, _FRAME_SIZE: {}}
    if names:
        symbols, strings = sections[".symtab"].data, _Names(bytes(sections[".strtab"].data))
        for attribute, value in _attributes(sections[_INFO].data):
            if attribute in per_kernel:
                index, number = struct.unpack("<II", value)
                (name_at,) = struct.unpack_from("<I", symbols, index * _SYMBOL_SIZE)
                per_kernel[attribute][strings.at(name_at)] = number
    nothing = _Section(memoryview(b""), 0)
    return tuple(
        KernelFacts(
            symbol=name,
            parameters=_parameters(sections[f"{_INFO}.{name}"].data),
            cost=KernelCost(
                bytes=sections[f".text.{name}"].size,
                registers=per_kernel[_REGCOUNT][name],
                shared=sections.get(f".nv.shared.{name}", nothing).size,
                local=per_kernel[_FRAME_SIZE].get(name, 0),
            ),
        )
        for name in sorted(names)
        # A function that is called, not inlined, has attributes as well; only kernels have a register count there
        # and parameters in constant bank 0.
        if f".nv.constant0.{name}" in sections
    )


def _sections(data: bytes) -> dict[str, _Section]:
    """Sections by name (ELF-64, little endian; System V ABI, chapter 4)."""
    if data[:6] != b"\x7fELF\x02\x01":
        msg = "no 64-bit little-endian ELF header"
        raise ValueError(msg)
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine != _EM_CUDA:
        msg = f"ELF machine {machine}, expected {_EM_CUDA}"
        raise ValueError(msg)
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + index * entry_size) for index in range(count)]
    view = memoryview(data)
    names, names_offset = _Names(data), headers[names_index][4]
    found: dict[str, _Section] = {}
    for name, kind, _flags, _address, start, size in headers:
        content = view[:0] if kind == _SHT_NOBITS else view[start : start + size]
        if kind not in {0, _SHT_NOBITS} and len(content) != size:
            msg = f"a section ends at byte {start + size}"
            raise ValueError(msg)
        found[names.at(names_offset + name)] = _Section(content, size)
    return found


class _Names:
    """A string table, and how much of it was taken: tables that overlap could name one long string for ever."""

    def __init__(self, table: bytes) -> None:
        self._table = table
        self._taken = 0

    def at(self, offset: int) -> str:
        text = self._table[offset : self._table.index(b"\0", offset, offset + SYMBOL_NAME.value)]
        self._taken += len(text)
        if self._taken > ELF_STRINGS.value:
            msg = f"{ELF_STRINGS.bounds}: {ELF_STRINGS.passed('more')}"
            raise ValueError(msg)
        return text.decode()


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
