"""Frames of functions, and the lines of a program for what they compute: where each operand is (native/machine.h)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.handlers import Form, form_of
from gpuwheel.testing.ptx.lines import Line, bits_of
from gpuwheel.testing.ptx.storage import Storage
from gpuwheel.testing.ptx.syntax import (
    Address,
    Function,
    Immediate,
    Instruction,
    Module,
    Negated,
    Operand,
    Register,
    Sink,
    Special,
    Symbol,
    Variable,
    size_of,
)

__all__ = ["LOCAL_BASE", "Frame", "Frames", "NoMeaningError"]

_FARTHEST = 1 << 31
_RESERVED = Variable("shared", "reserved_smem_offset_1", "b8", 1024, 16, initial=bytes(1024))
"""What CUDA takes of the shared memory of each block from 8.0 on; cooperative groups of several warps meet there."""
LOCAL_BASE = Register("%local_base", "b64")
"""The addresses of the threads' frames, which a launch fills."""
_CLOCKS = {"clock": 32, "clock_hi": 32, "clock64": 64, "globaltimer": 64, "globaltimer_lo": 32, "globaltimer_hi": 32}


class NoMeaningError(Exception):
    """An instruction that has no place in a program: it never leaves `program`."""


@dataclass
class Frame:
    """What one function has: the prefix of its names, and where its local variables are."""

    function: Function
    prefix: str
    local: dict[str, int] = field(default_factory=dict)


class Frames:
    """The functions of a program, and its lines so far."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._storage = Storage()
        self._forms: dict[str, tuple[int, Form]] = {}
        self._lines: list[Line] = []
        self._sites = 0
        self._frames: dict[str, Frame] = {}
        self._offsets: dict[str, int] = {}

    def _frame(self, function: Function) -> Frame:
        if function.name not in self._frames:
            frame = self._frames[function.name] = Frame(function, f"{len(self._frames)}:")
            inner = [variable for variable in function.variables.values() if variable.space in {"local", "param"}]
            outer = () if function.entry else (*function.parameters, *function.returns)
            for variable in (*inner, *outer):
                frame.local.setdefault(variable.name, self._storage.local(variable))
        return self._frames[function.name]

    def _emit(self, frame: Frame, of: Instruction | None, kind: str) -> Line:
        line = Line(kind, of)
        if of is not None and of.guard is not None:
            line.guard, line.negated = self._slot(frame, of.guard), of.negated
        self._lines.append(line)
        return line

    def _computation(self, frame: Frame, of: Instruction) -> None:
        first = next((index for index, operand in enumerate(of.operands) if isinstance(operand, Address)), -1)
        prepared = tuple(self._prepared(frame, of, index, is_first=index == first) for index in range(len(of.operands)))
        if any(new is not old for new, old in zip(prepared, of.operands, strict=True)):
            of = replace(of, operands=prepared)
        found = form_of(of)
        if found is None:
            raise NoMeaningError
        form, operands = found
        yields = of.opcode == "nanosleep" or "try_wait" in of.modifiers or "test_wait" in of.modifiers
        line = self._emit(frame, of, "collective" if form.row.collective else "yield" if yields else "plain")
        line.handler, _ = self._forms.setdefault(form.symbol, (len(self._forms), form))
        for place, operand in zip(form.places, operands, strict=True):
            if operand is None:
                continue
            self._operand(frame, line, place.index, operand, place.type)
            if place.name == "membermask":
                line.members = place.index
            if place.address:
                line.site, self._sites = self._sites, self._sites + 1

    def _prepared(self, frame: Frame, of: Instruction, index: int, *, is_first: bool) -> Operand:
        """What differs from lane to lane is computed before: addresses of local variables, clocks, second offsets."""
        operand, address = of.operands[index], Register(f"%address{index}", "b64")
        if isinstance(operand, Address) and isinstance(operand.base, Symbol) and operand.base.name in frame.local:
            operand = Address(LOCAL_BASE, operand.offset + self._local(frame, operand.base))
        if isinstance(operand, Address) and operand.offset and not is_first:
            self._added(frame, of, "address", ("b64",), (address, operand))
            return Address(address)
        if isinstance(operand, Symbol) and operand.name in frame.local:
            there = Address(LOCAL_BASE, self._local(frame, operand))
            self._added(frame, of, "address", ("b64",), (address, there))
            return address
        if isinstance(operand, Special) and operand.name == _RESERVED.name:
            return Symbol(operand.name)
        if isinstance(operand, Special) and operand.name in _CLOCKS:
            register = Register(f"%{operand.name}", f"b{_CLOCKS[operand.name]}")
            half = ("hi",) if operand.name.endswith("_hi") else ()
            self._added(frame, of, "clock", (*half, register.type), (register,))
            return register
        return operand

    def _added(
        self, frame: Frame, of: Instruction, opcode: str, modifiers: tuple[str, ...], operands: tuple[Operand, ...]
    ) -> None:
        """An instruction of our own, where and when `of` is."""
        self._computation(frame, replace(of, opcode=opcode, modifiers=modifiers, operands=operands))

    def _local(self, frame: Frame, operand: Operand) -> int:
        if not isinstance(operand, Symbol) or operand.name not in frame.local:
            raise NoMeaningError
        return frame.local[operand.name] + operand.offset

    # ---- operands

    def _slot(self, frame: Frame, register: Register) -> int:
        if register == LOCAL_BASE:
            return self._storage.special("local_base")
        return self._storage.slot(frame.prefix + register.name, size_of(register.type))

    def _operand(self, frame: Frame, line: Line, index: int, operand: Operand, type_name: str) -> None:
        if isinstance(operand, Address):
            line.offset += operand.offset
            if not -_FARTHEST <= line.offset < _FARTHEST:
                raise NoMeaningError
            operand = operand.base
        match operand:
            case Register():
                line.operands[index] = self._slot(frame, operand)
            case Negated(operand=register):
                line.operands[index] = self._slot(frame, register)
                line.flags |= 1
            case Special(name=name):
                try:
                    line.operands[index] = self._storage.special(name)
                except KeyError as error:
                    raise NoMeaningError from error
            case Immediate():
                line.operands[index] = self._storage.value(bits_of(operand, type_name))
                line.constants |= 1 << index
            case Symbol():
                line.operands[index] = self._address_of(frame, operand)
                line.constants |= 1 << index
            case Sink():  # functions for a whole warp write there all the same
                line.operands[index] = self._storage.slot("%sink", size_of("b128"))
            case _:
                raise NoMeaningError

    def _address_of(self, frame: Frame, symbol: Symbol) -> int:
        name = symbol.name
        if frame.function.entry and name in self._offsets:
            return self._storage.parameter(self._offsets[name] + symbol.offset)
        if self._module.aliases.get(name, name) in self._module.spans and not symbol.offset:
            return self._storage.value(reading.function_address(self._module, name))
        variable = frame.function.variables.get(name) or self._module.variables.get(name)
        if name == _RESERVED.name:
            variable = _RESERVED
        if variable is not None and variable.space == "shared":
            return self._storage.shared(variable, symbol.offset)
        if variable is not None and variable.space in {"global", "const"}:
            return self._storage.variable(name, symbol.offset)
        raise NoMeaningError
