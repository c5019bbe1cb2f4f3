"""What a library for x86-64 executes when it is loaded, whatever the CPU: followed through its machine code.

System V ABI, "Initialization and Termination Functions" (DT_INIT, DT_INIT_ARRAY), and the x86-64 psABI (the loader
calls what R_X86_64_IRELATIVE names, to choose the code of a function). A function is followed from its first
instruction, into jumps and into calls of the same library. At a branch both ways are followed, and an instruction
counts that each of them leads to: code behind a question to the CPU, of which one way goes without it, never does. A
function of another library is taken to come back. What cannot be followed (jumps through memory, an unknown
instruction, a path that is too long) proves nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import DAMAGE
from gpuwheel.binary.elf_headers import MACHINES
from gpuwheel.binary.elf_reader import Elf
from gpuwheel.binary.x86.instructions import LONGEST, Flow, Instruction, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.binary.extent import Extent

__all__ = ["AtLoad", "vector_at_load"]

_PT_LOAD = 1
_DT_INIT, _DT_INIT_ARRAY, _DT_INIT_ARRAYSZ = 12, 25, 27
_DT_RELA, _DT_RELASZ, _DT_JMPREL, _DT_PLTRELSZ = 7, 8, 23, 2
_RELATIVE, _IRELATIVE = 8, 37
"""R_X86_64_RELATIVE, R_X86_64_IRELATIVE: their addend is an address."""
_RELOCATION = struct.Struct("<QQq")
"""Elf64_Rela: place, symbol and kind, addend."""
_POINTER = struct.Struct("<Q")
_ROWS = 1 << 17
"""Relocations that are looked through: those without a symbol come first, and those of constructors among them."""
_FUNCTIONS, _INSTRUCTIONS, _DEPTH = 500, 300, 6
"""Functions that are followed, instructions of each, and calls within calls."""
_WINDOW = 1 << 9


@dataclass(frozen=True)
class AtLoad:
    """An instruction that no CPU without it gets past."""

    function: str
    """"constructor", or "resolver" of a function that is chosen when the library is loaded."""
    entry: int
    """Address of that function."""
    place: int
    """Address of the instruction."""
    extension: str
    """"AVX" or "AVX-512"."""


def vector_at_load(file: Extent) -> AtLoad | None:
    """The first vector instruction beyond x86-64 that is executed when a library is loaded.

    `None` where none was found, where it is for another machine, and where the file is damaged.
    """
    try:
        elf = Elf(file, errors="replace")
        return _first(elf) if elf.machine == MACHINES["x86_64"] else None
    except DAMAGE:
        return None


def _first(elf: Elf) -> AtLoad | None:
    code = _Code(elf)
    seen: set[int] = set()
    for function, entry in _entries(elf):
        if entry in seen:
            continue
        seen.add(entry)
        if len(seen) > _FUNCTIONS:
            return None
        found = _Walk(code).sure(entry)
        if found is not None:
            return AtLoad(function, entry, *found)
    return None


def _entries(elf: Elf) -> Iterator[tuple[str, int]]:
    """Functions that the loader calls, in an order that reads the file forward."""
    constructors = set(elf.dynamic.get(_DT_INIT, ())[-1:])
    starts, sizes = elf.dynamic.get(_DT_INIT_ARRAY, ()), elf.dynamic.get(_DT_INIT_ARRAYSZ, ())
    start, size = (starts[-1], sizes[-1]) if starts and sizes else (0, 0)
    missing: set[int] = set()
    if size:
        held = bytes(elf.mapped(start).read(0, size))
        for place, (value,) in zip(
            range(start, start + size, 8), _POINTER.iter_unpack(held[: len(held) // 8 * 8]), strict=False
        ):
            # Most linkers write the address there as well; some leave it to the relocation.
            constructors |= {value} if value else set()
            missing |= set() if value else {place}
    resolvers = set()
    for place, kind, addend in _relocations(elf, wanted=bool(missing)):
        if kind == _IRELATIVE:
            resolvers.add(addend)
        elif kind == _RELATIVE and place in missing:
            constructors.add(addend)
    yield from (("constructor", entry) for entry in sorted(constructors - {0}))
    yield from (("resolver", entry) for entry in sorted(resolvers))


def _relocations(elf: Elf, *, wanted: bool) -> Iterator[tuple[int, int, int]]:
    """`(place, kind, addend)`: of the table of the PLT, where resolvers are, and of the other if somebody needs it."""
    tables = [(_DT_JMPREL, _DT_PLTRELSZ)] + ([(_DT_RELA, _DT_RELASZ)] if wanted else [])
    for table, size in tables:
        if table in elf.dynamic and size in elf.dynamic:
            data = elf.mapped(elf.dynamic[table][-1]).read(0, min(elf.dynamic[size][-1], _ROWS * _RELOCATION.size))
            whole = memoryview(data)[: len(data) // _RELOCATION.size * _RELOCATION.size]
            yield from ((place, info & 0xFFFFFFFF, addend) for place, info, addend in _RELOCATION.iter_unpack(whole))


class _Code:
    """Instructions by their addresses."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._windows: dict[int, tuple[int, bytes]] = {}
        self._decoded: dict[int, Instruction | None] = {}

    def at(self, address: int) -> Instruction | None:
        """The one at an address; `None` where it is unknown, or nothing is there."""
        if address not in self._decoded:
            try:
                self._decoded[address] = decode(self._bytes(address))
            except ValueError:  # nothing of the file is there
                self._decoded[address] = None
        return self._decoded[address]

    def _bytes(self, address: int) -> bytes:
        number = address // _WINDOW
        if number not in self._windows:
            # A window and what an instruction that begins in it may need of the next.
            start = max(number * _WINDOW, self._segment_start(address))
            mapped: Extent = self._elf.mapped(start)
            self._windows[number] = start, bytes(mapped.read(0, number * _WINDOW + _WINDOW + LONGEST - start))
        start, data = self._windows[number]
        return data[address - start : address - start + LONGEST]

    def _segment_start(self, address: int) -> int:
        loaded = [it.address for it in self._elf.segments if it.kind == _PT_LOAD and it.address <= address]
        return max(loaded, default=address)


class _Walk:
    """One function, and what it leads to."""

    def __init__(self, code: _Code) -> None:
        self._code = code
        self._left = _INSTRUCTIONS
        self._known: dict[tuple[int, int], tuple[int, str] | None] = {}

    def sure(self, address: int, depth: int = 0) -> tuple[int, str] | None:
        """An instruction that every way from an address leads to, and its extension."""
        key = address, depth
        if key in self._known:
            return self._known[key]
        self._known[key] = None  # a way that comes back here proves nothing
        self._known[key] = found = self._followed(address, depth)
        return found

    def _followed(self, address: int, depth: int) -> tuple[int, str] | None:
        while self._left > 0:
            self._left -= 1
            found = self._code.at(address)
            if found is None or found.flow is Flow.END:
                return None
            if found.extension is not None:
                return address, found.extension
            following = address + found.size
            if found.flow is Flow.CALL and depth < _DEPTH:
                inner = self.sure(following + found.distance, depth + 1)
                if inner is not None:
                    return inner
            elif found.flow is Flow.JUMP:
                following += found.distance
            elif found.flow is Flow.BRANCH:
                other = self.sure(following + found.distance, depth)
                return None if other is None else self.sure(following, depth)
            address = following
        return None
