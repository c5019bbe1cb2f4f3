"""Programs of the interpreter: an entry and the functions that it calls, as one flat block of bytes (native/program.c).

Each register has a slot: 32 values side by side, aligned to 64 bytes. Constants and parameters stand in a table that a
launch fills; shared variables are offsets; the local variables of all functions are one frame of each thread, so that a
function which calls itself has no meaning here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpuwheel.errors import PtxError
from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.control import barrier_of
from gpuwheel.testing.ptx.handlers import Form, form_of
from gpuwheel.testing.ptx.lines import Line, bits_of
from gpuwheel.testing.ptx.storage import Storage, aligned
from gpuwheel.testing.ptx.syntax import (
    Address,
    Function,
    Group,
    Immediate,
    Instruction,
    Label,
    Negated,
    Register,
    Sink,
    Special,
    Symbol,
    Variable,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.testing.ptx.syntax import Module, Operand

__all__ = ["Program", "make_program"]

_HEADER = struct.Struct("<8s8I")
_MAGIC = b"gwptx001"
_NONE, _FARTHEST = 0xFFFFFFFF, 1 << 31
# The addresses of a thread's frame, which a launch fills; and functions of CUDA's own, by the bits of their arguments.
_LOCAL_BASE = Register("%local_base", "b64")
_SYSTEM_CALLS = {"vprintf": (64, 64), "__assertfail": (64, 64, 32, 64)}
_CLOCKS = {"clock": 32, "clock_hi": 32, "clock64": 64, "globaltimer": 64, "globaltimer_lo": 32, "globaltimer_hi": 32}


@dataclass(frozen=True)
class Program:
    """One entry, ready to be laid out: its forms, and where each instruction stands in the PTX."""

    kernel: str
    forms: tuple[Form, ...]
    """Those that it needs, without repetition."""
    block: bytes
    """For native/program.c. Handlers are indices into `forms`."""
    instructions: tuple[Instruction | None, ...]
    """What stands at each index of the program; None: the return that we added at the end of a function."""
    variables: tuple[str, ...]
    """Of the module, in the order of `Launch.variables`."""
    parameters: tuple[Variable, ...]
    offsets: tuple[int, ...]
    """Of the parameters, in bytes."""
    parameter_bytes: int
    missing: tuple[Instruction, ...] = ()
    """Instructions without a meaning: reached, they end the launch."""


def make_program(module: Module, kernel: str) -> Program:
    """The program of one entry.

    Raises:
        PtxError: the text is damaged, or has no such entry.
    """
    return _Assembler(module, kernel).assemble()


class _NoMeaningError(Exception):
    """An instruction that has no place in a program: it never leaves this module."""


@dataclass
class _Frame:
    """What one function has: the prefix of its names, and where its local variables are."""

    function: Function
    prefix: str
    local: dict[str, int] = field(default_factory=dict)


class _Assembler:
    def __init__(self, module: Module, kernel: str) -> None:
        self._module = module
        self._entry = reading.function(module, kernel)
        self._storage = Storage()
        self._forms: dict[str, tuple[int, Form]] = {}
        self._lines: list[Line] = []
        self._targets: list[tuple[Line, str]] = []
        self._tables: list[tuple[Line, int, list[str]]] = []
        self._labels: dict[str, int] = {}
        self._calls: list[tuple[str, str, Line]] = []  # caller, callee
        self._sites = 0
        self._frames: dict[str, _Frame] = {}
        self._offsets: dict[str, int] = {}

    def assemble(self) -> Program:
        size = 0
        for parameter in self._entry.parameters:
            self._offsets[parameter.name] = aligned(size, parameter.align)
            size = self._offsets[parameter.name] + parameter.size
        self._frame(self._entry)
        done = 0
        while done < len(self._frames):  # a call adds the frame of what it calls
            self._function(list(self._frames.values())[done])
            done += 1
        self._settle()
        return Program(
            kernel=self._entry.name,
            forms=tuple(form for _, form in self._forms.values()),
            block=self._block(size),
            instructions=tuple(line.of for line in self._lines),
            variables=tuple(self._storage.variables),
            parameters=self._entry.parameters,
            offsets=tuple(self._offsets.values()),
            parameter_bytes=size,
            missing=tuple(line.of for line in self._lines if line.kind == "missing" and line.of),
        )

    def _settle(self) -> None:
        """What is known only at the end: where labels are, and who calls itself."""
        for line, label in self._targets:
            if label in self._labels:
                line.target = self._labels[label]
            else:
                line.kind = "missing"
        for line, index, labels in self._tables:
            if not self._labels.keys() >= {*labels}:
                line.kind = "missing"
                continue
            self._storage.fill(index, [self._labels[label] for label in labels])
        self._storage.settle()
        for caller, callee, line in self._calls:
            if caller in self._reached(callee):
                line.kind = "missing"

    def _reached(self, function: str) -> set[str]:
        found: set[str] = set()
        waiting = [function]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(callee for caller, callee, _ in self._calls if caller == name)
        return found

    def _block(self, parameter_bytes: int) -> bytes:
        storage = self._storage
        sizes = (
            len(self._lines),
            *storage.counts,
            aligned(storage.register_bytes, 64),
            storage.shared_bytes,
            aligned(storage.local_bytes, 16),
            parameter_bytes,
            self._sites,
        )
        if max(sizes) > _NONE:
            msg = f"{self._entry.name} has {max(sizes):,} bytes of registers, shared or local memory (at most 4 GiB)"
            raise PtxError(msg, hint="no GPU has so much: look at the arrays that it declares")
        return b"".join([_HEADER.pack(_MAGIC, *sizes), *(line.packed() for line in self._lines), storage.tables()])

    # ---- functions

    def _frame(self, function: Function) -> _Frame:
        if function.name not in self._frames:
            frame = self._frames[function.name] = _Frame(function, f"{len(self._frames)}:")
            inner = [variable for variable in function.variables.values() if variable.space in {"local", "param"}]
            outer = () if function.entry else (*function.parameters, *function.returns)
            for variable in (*inner, *outer):
                frame.local.setdefault(variable.name, self._storage.local(variable))
        return self._frames[function.name]

    def _function(self, frame: _Frame) -> None:
        self._labels[frame.prefix] = len(self._lines)
        for each in frame.function.body:
            if isinstance(each, Label):
                self._labels[frame.prefix + each.name] = len(self._lines)
                continue
            begun = len(self._lines)
            try:
                self._instruction(frame, each)
            except _NoMeaningError:
                del self._lines[begun:]
                self._emit(frame, each, "missing")
        self._emit(frame, None, "return")

    # ---- instructions

    def _emit(self, frame: _Frame, of: Instruction | None, kind: str) -> Line:
        line = Line(kind, of)
        if of is not None and of.guard is not None:
            line.guard, line.negated = self._slot(frame, of.guard), of.negated
        self._lines.append(line)
        return line

    def _instruction(self, frame: _Frame, of: Instruction) -> None:
        plain = {"exit": "exit", "ret": "return", "trap": "trap", "brkpt": "trap"}.get(of.opcode)
        if plain is not None:
            self._emit(frame, of, plain)
        elif of.opcode == "bra":
            self._branch(frame, of)
        elif of.opcode == "brx":
            self._table(frame, of)
        elif of.opcode == "call":
            self._call(frame, of)
        elif of.opcode in {"bar", "barrier"} and "warp" not in of.modifiers:
            self._barrier(frame, of)
        else:
            self._computation(frame, of)

    def _branch(self, frame: _Frame, of: Instruction) -> None:
        (target,) = of.operands
        if not isinstance(target, Symbol):
            raise _NoMeaningError
        self._targets.append((self._emit(frame, of, "branch"), frame.prefix + target.name))

    def _table(self, frame: _Frame, of: Instruction) -> None:
        index, table = of.operands
        labels = frame.function.branch_targets.get(table.name) if isinstance(table, Symbol) else None
        if labels is None or (isinstance(index, Register) and size_of(index.type) != size_of("u32")):
            raise _NoMeaningError
        line = self._emit(frame, of, "table")
        self._operand(frame, line, 0, index, "u32")
        line.operands[1], line.operands[2] = self._storage.list_of(len(labels)), len(labels)
        self._tables.append((line, line.operands[1], [frame.prefix + label for label in labels]))

    def _barrier(self, frame: _Frame, of: Instruction) -> None:
        barrier = barrier_of(of)
        if barrier is None:
            raise _NoMeaningError
        line = self._emit(frame, of, "barrier")
        line.mode, line.aligned, line.flags = barrier.mode, barrier.aligned, int(barrier.negated)
        given = (barrier.destination, barrier.number, barrier.threads, barrier.predicate)
        types = ("u32" if "popc" in of.modifiers else "pred", "u32", "u32", "pred")
        for index, (operand, type_name) in enumerate(zip(given, types, strict=True)):
            if isinstance(operand, Register) and size_of(operand.type) != size_of(type_name):
                raise _NoMeaningError
            if operand is not None:
                self._operand(frame, line, index, operand, type_name)

    def _computation(self, frame: _Frame, of: Instruction) -> None:
        addresses = [operand for operand in of.operands if isinstance(operand, Address)]
        prepared = tuple(self._prepared(frame, of, operand, addresses) for operand in of.operands)
        if any(new is not old for new, old in zip(prepared, of.operands, strict=True)):
            of = replace(of, operands=prepared)
        found = form_of(of)
        if found is None:
            raise _NoMeaningError
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

    def _prepared(self, frame: _Frame, of: Instruction, operand: Operand, addresses: list[Address]) -> Operand:
        """What differs from lane to lane is computed before: addresses of local variables, clocks, second offsets."""
        second = isinstance(operand, Address) and operand is not addresses[0]
        if isinstance(operand, Address) and isinstance(operand.base, Symbol) and operand.base.name in frame.local:
            operand = Address(_LOCAL_BASE, operand.offset + self._local(frame, operand.base))
        if second and isinstance(operand, Address) and operand.offset:
            self._added(frame, of, "address", ("b64",), (Register("%address", "b64"), operand))
            return Address(Register("%address", "b64"))
        if isinstance(operand, Symbol) and operand.name in frame.local:
            there = Address(_LOCAL_BASE, self._local(frame, operand))
            self._added(frame, of, "address", ("b64",), (Register("%address", "b64"), there))
            return Register("%address", "b64")
        if isinstance(operand, Special) and operand.name in _CLOCKS:
            register = Register(f"%{operand.name}", f"b{_CLOCKS[operand.name]}")
            half = ("hi",) if operand.name.endswith("_hi") else ()
            self._added(frame, of, "clock", (*half, register.type), (register,))
            return register
        return operand

    def _added(
        self, frame: _Frame, of: Instruction, opcode: str, modifiers: tuple[str, ...], operands: tuple[Operand, ...]
    ) -> None:
        """An instruction of our own, where and when `of` is."""
        self._computation(frame, replace(of, opcode=opcode, modifiers=modifiers, operands=operands))

    # ---- calls

    def _call(self, frame: _Frame, of: Instruction) -> None:
        groups = [operand.elements for operand in of.operands if isinstance(operand, Group)]
        names = [operand.name for operand in of.operands if isinstance(operand, Symbol)]
        returns = groups.pop(0) if of.operands and isinstance(of.operands[0], Group) else ()
        arguments = groups.pop(0) if groups else ()
        if names and names[0] in _SYSTEM_CALLS:
            self._system_call(frame, of, names[0], returns, arguments)
            return
        if not names or names[0] not in self._module.spans:
            raise _NoMeaningError
        callee = reading.function(self._module, names[0])
        if len(arguments) != len(callee.parameters) or len(returns) != len(callee.returns):
            raise _NoMeaningError
        inner = self._frame(callee)
        for argument, parameter in zip(arguments, callee.parameters, strict=True):
            self._copy(frame, of, self._local(frame, argument), inner.local[parameter.name], parameter.size)
        line = self._emit(frame, of, "call")
        self._calls.append((frame.function.name, callee.name, line))
        self._targets.append((line, inner.prefix))
        for result, parameter in zip(returns, callee.returns, strict=True):
            self._copy(frame, of, inner.local[parameter.name], self._local(frame, result), parameter.size)

    def _system_call(
        self, frame: _Frame, of: Instruction, name: str, returns: Sequence[Operand], arguments: Sequence[Operand]
    ) -> None:
        """A function that CUDA has and no PTX holds, as an instruction of ours (CUDA C++ guide, "Device runtime")."""
        registers: list[Operand] = [Register("%result", "b32")] if name == "vprintf" else []
        for index, (argument, bits) in enumerate(zip(arguments, _SYSTEM_CALLS[name], strict=False)):
            register = Register(f"%argument{index}_{bits}", f"b{bits}")
            address = Address(_LOCAL_BASE, self._local(frame, argument))
            self._added(frame, of, "ld", ("local", register.type), (register, address))
            registers.append(register)
        self._added(frame, of, name.strip("_"), (), tuple(registers))
        for result in returns:
            address = Address(_LOCAL_BASE, self._local(frame, result))
            self._added(frame, of, "st", ("local", "b32"), (address, registers[0]))

    def _local(self, frame: _Frame, operand: Operand) -> int:
        if not isinstance(operand, Symbol) or operand.name not in frame.local:
            raise _NoMeaningError
        return frame.local[operand.name] + operand.offset

    def _copy(self, frame: _Frame, of: Instruction, source: int, target: int, size: int) -> None:
        """Bytes of a thread's frame, as an argument or a result of a call goes."""
        bytes_ = next(width for width in (8, 4, 2, 1) if not (size % width or source % width or target % width))
        between = Register(f"%argument_{bytes_}", f"b{8 * bytes_}")
        for at in range(0, size, bytes_):
            self._added(frame, of, "ld", ("local", between.type), (between, Address(_LOCAL_BASE, source + at)))
            self._added(frame, of, "st", ("local", between.type), (Address(_LOCAL_BASE, target + at), between))

    # ---- operands

    def _slot(self, frame: _Frame, register: Register) -> int:
        if register == _LOCAL_BASE:
            return self._storage.special("local_base")
        return self._storage.slot(frame.prefix + register.name, size_of(register.type))

    def _operand(self, frame: _Frame, line: Line, index: int, operand: Operand, type_name: str) -> None:
        if isinstance(operand, Address):
            line.offset += operand.offset
            if not -_FARTHEST <= line.offset < _FARTHEST:
                raise _NoMeaningError
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
                    raise _NoMeaningError from error
            case Immediate():
                line.operands[index] = self._storage.value(bits_of(operand, type_name))
                line.constants |= 1 << index
            case Symbol():
                line.operands[index] = self._address_of(frame, operand)
                line.constants |= 1 << index
            case Sink():  # functions for a whole warp write there all the same
                line.operands[index] = self._storage.slot("%sink", size_of("b128"))
            case _:
                raise _NoMeaningError

    def _address_of(self, frame: _Frame, symbol: Symbol) -> int:
        name = symbol.name
        if frame.function.entry and name in self._offsets:
            return self._storage.parameter(self._offsets[name] + symbol.offset)
        variable = frame.function.variables.get(name) or self._module.variables.get(name)
        if variable is not None and variable.space == "shared":
            return self._storage.shared(variable, symbol.offset)
        if variable is not None and variable.space in {"global", "const"}:
            return self._storage.variable(name, symbol.offset)
        raise _NoMeaningError
