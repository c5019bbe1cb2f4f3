"""Kernels of a cubin: an ELF file of NVIDIA's machine (EM_CUDA), ABI 7 (sm_75 to sm_90) and 8 (sm_100 on).

Sections read: `.text.K` (code), `.nv.shared.K` (static shared memory), `.nv.info` and `.nv.info.K` (attributes).
The attribute numbers are those that `cuobjdump -elf` prints by name; tests compare the result with
`cuobjdump -res-usage`.

What a kernel spills is noted by ptxas of CUDA 12.6 and newer: EIATTR_ANNOTATIONS of `.nv.info.K` is a list of pairs,
what an annotation is and the place of an instruction in `.text.K`. What that stores or loads is in its words. The sums
are those that `ptxas -v` prints; tests compare them.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel._endings import reading
from gpuwheel.binary.elf_headers import NOTHING
from gpuwheel.binary.elf_reader import Elf
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import KernelCost, KernelFacts, Parameter, Spilled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ANNOTATIONS", "CUDA_API_VERSION", "Compiler", "compiler_of", "read_cubin", "spilled"]

_EM_CUDA = 190
_INFO = ".nv.info"

# EIFMT: how the value of an attribute is stored. All but SVAL are two bytes in place of a size.
_EIFMT_SVAL = 0x04
# EIATTR
_FRAME_SIZE = 0x11
_KPARAM_INFO = 0x17
_KPARAM_INFO_V2 = 0x45  # what tileiras writes
_REGCOUNT = 0x2F
_MIN_STACK_SIZE = 0x12
CUDA_API_VERSION = 0x37
"""The toolkit that compiled a kernel: 126 for 12.6."""
ANNOTATIONS = 0x55
_NOTES_SPILLS = 126
_SPILL_REFILL = 1
_PAIR = struct.Struct("<II")
_INSTRUCTION = struct.Struct("<QQ")
_OPCODE = 0xFFF
# STL, LDL; STS, LDS: to and from local and shared memory, by a register.
_STORES, _LOADS = frozenset({0x387, 0x388}), frozenset({0x983, 0x984})
_WIDTH_AT, _WIDTHS = 73 - 64, (1, 1, 2, 2, 4, 8, 16, 16)


_TOOLS = re.compile(rb"Cuda compilation tools, release \d+\.\d+, V(\d+\.\d+\.\d+)")
_TOOL_INFO = ".note.nv.tkinfo"
_PTX_HEAD = 4096
"""Bytes in which PTX says what wrote it, in comments ahead of everything else."""


class Compiler(NamedTuple):
    """The toolkit that compiled a piece of device code."""

    version: str
    """"13.0.88", or "12.6" where no more is known."""
    text: str
    """What says so."""


def compiler_of(data: bytes) -> Compiler | None:
    """What compiled a cubin, or wrote PTX, as it says itself; `None`: it does not.

    Raises:
        CompileError: it is a damaged cubin.
    """
    if not data.startswith(b"\x7fELF"):
        return _tools(data[:_PTX_HEAD])
    with reading("a cubin is not readable", "code of one GPU architecture", error=CompileError):
        sections = Elf(data).sections
        told = _tools(bytes(sections[_TOOL_INFO].data)) if _TOOL_INFO in sections else None
        if told is not None:
            return told
        for name, section in sections.items():
            for attribute, value in _attributes(section.data) if name.startswith(f"{_INFO}.") else ():
                if attribute == CUDA_API_VERSION:
                    (number,) = struct.unpack_from("<I", value)
                    return Compiler(f"{number // 10}.{number % 10}", f"EIATTR_CUDA_API_VERSION {number}")
    return None


def _tools(text: bytes) -> Compiler | None:
    found = _TOOLS.search(text)
    return None if found is None else Compiler(found[1].decode(), found[0].decode())


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
    per_kernel: dict[int, dict[str, int]] = {_REGCOUNT: {}, _FRAME_SIZE: {}, _MIN_STACK_SIZE: {}}
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
                per_kernel[_MIN_STACK_SIZE].get(name),
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


def spilled(
    attributes: Iterable[tuple[int, bytes | memoryview]], code: bytes | memoryview, stack: int | None
) -> Spilled | None:
    """What a kernel and the functions that are compiled into its section spill; `None` where the code does not say.

    Args:
        attributes: Of `.nv.info.K`.
        code: `.text.K`.
        stack: Bytes of its stack with that of all that it calls (EIATTR_MIN_STACK_SIZE), if that is known.

    Raises:
        ValueError, struct.error: an annotation leads out of the code.
    """
    notes, version = b"", 0
    for attribute, value in attributes:
        if attribute == CUDA_API_VERSION:
            (version,) = struct.unpack_from("<I", value)
        elif attribute == ANNOTATIONS:
            notes += value
    if not notes:
        # Without a stack there is nothing to spill to: code that spills to shared memory is newer, and noted.
        return Spilled(0, 0) if stack == 0 or version >= _NOTES_SPILLS else None
    stores = loads = 0
    for kind, place in _PAIR.iter_unpack(notes):
        if kind != _SPILL_REFILL:
            return None  # of another length, maybe: what follows cannot be read
        low, high = _INSTRUCTION.unpack_from(code, place)
        width = _WIDTHS[high >> _WIDTH_AT & 7]
        opcode = low & _OPCODE
        stores += width if opcode in _STORES else 0
        loads += width if opcode in _LOADS else 0
        if opcode not in _STORES | _LOADS:
            return None  # a way to spill that is not known here
    return Spilled(stores, loads)
