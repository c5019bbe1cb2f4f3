"""Programs of the interpreter: an entry and the functions that it calls, as one flat block of bytes (native/program.c).

Each register has a slot: 32 values side by side, aligned to 64 bytes. Constants and parameters stand in a table that a
launch fills; shared variables are offsets; the local variables of all functions are one frame of each thread. A call
that may come to call its caller again has the caller's registers kept, and another frame (native/calls.c).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel.errors import PtxError
from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.calls import CallGraph, callees_of
from gpuwheel.testing.ptx.control import barrier_of
from gpuwheel.testing.ptx.frames import LOCAL_BASE, Frame, Frames, NoMeaningError
from gpuwheel.testing.ptx.storage import aligned
from gpuwheel.testing.ptx.syntax import Address, Group, Immediate, Label, Register, Symbol, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.testing.ptx.handlers import Form
    from gpuwheel.testing.ptx.lines import Line
    from gpuwheel.testing.ptx.syntax import Function, Instruction, Module, Operand, Variable

__all__ = ["Program", "make_program"]

_HEADER = struct.Struct("<8s12I")
_MAGIC = b"gwptx002"
_NONE = 0xFFFFFFFF
# Functions of CUDA's own, by the bits of their arguments.
_SYSTEM_CALLS = {"vprintf": (64, 64), "__assertfail": (64, 64, 32, 64)}
# Of a program whose functions call themselves: bytes of local memory of a thread, at least so many frames, and calls.
_STACK_BYTES, _FEWEST_FRAMES, _MOST_CALLS = 32 << 10, 8, 1024
_CALL_AGAIN, _TRAP_OF_CALL = 1, 1


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


class _Assembler(Frames):
    def __init__(self, module: Module, kernel: str) -> None:
        super().__init__(module)
        self._entry = reading.function(module, kernel)
        self._targets: list[tuple[Line, str]] = []
        self._tables: list[tuple[Line, int, list[str]]] = []
        self._labels: dict[str, int] = {}
        self._graph = CallGraph(module, self._entry)
        self._again: list[tuple[Frame, Line]] = []  # calls that may come back to their caller

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
        self._keep_callers()
        self._storage.settle()

    def _keep_callers(self) -> None:
        """Calls that may come back name the registers of their caller."""
        kept: dict[str, tuple[int, int]] = {}
        for caller, line in self._again:
            if caller.prefix not in kept:
                kept[caller.prefix] = self._list(
                    [slot | size << 32 for slot, size in self._storage.slots_of(caller.prefix)]
                )
            line.operands[:2] = kept[caller.prefix]

    def _list(self, values: Sequence[int]) -> tuple[int, int]:
        """The first of constants in a row, and how many there are."""
        first = self._storage.list_of(len(values))
        self._storage.fill(first, values)
        return first, len(values)

    def _block(self, parameter_bytes: int) -> bytes:
        storage = self._storage
        local = aligned(storage.local_bytes, 16)
        base = storage.special("local_base")
        sizes = (
            len(self._lines),
            *storage.counts,
            aligned(storage.register_bytes, 64),
            storage.shared_bytes,
            local,
            parameter_bytes,
            self._sites,
            _MOST_CALLS if self._again else len(self._frames),
            max(_STACK_BYTES, _FEWEST_FRAMES * local) if self._again else local,
            base,
            int(bool(self._again)),
        )
        if max(sizes) > _NONE:
            msg = f"{self._entry.name} has {max(sizes):,} bytes of registers, shared or local memory (at most 4 GiB)"
            raise PtxError(msg, hint="no GPU has so much: look at the arrays that it declares")
        return b"".join([_HEADER.pack(_MAGIC, *sizes), *(line.packed() for line in self._lines), storage.tables()])

    # ---- functions

    def _function(self, frame: Frame) -> None:
        self._labels[frame.prefix] = len(self._lines)
        for each in frame.function.body:
            if isinstance(each, Label):
                self._labels[frame.prefix + each.name] = len(self._lines)
                continue
            begun = len(self._lines)
            try:
                self._instruction(frame, each)
            except NoMeaningError:
                del self._lines[begun:]
                self._emit(frame, each, "missing")
        self._emit(frame, None, "return")

    # ---- instructions

    def _instruction(self, frame: Frame, of: Instruction) -> None:
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

    def _branch(self, frame: Frame, of: Instruction) -> None:
        (target,) = of.operands
        if not isinstance(target, Symbol):
            raise NoMeaningError
        self._targets.append((self._emit(frame, of, "branch"), frame.prefix + target.name))

    def _table(self, frame: Frame, of: Instruction) -> None:
        index, table = of.operands
        labels = frame.function.branch_targets.get(table.name) if isinstance(table, Symbol) else None
        if labels is None or (isinstance(index, Register) and size_of(index.type) != size_of("u32")):
            raise NoMeaningError
        line = self._emit(frame, of, "table")
        self._operand(frame, line, 0, index, "u32")
        line.operands[1], line.operands[2] = self._storage.list_of(len(labels)), len(labels)
        self._tables.append((line, line.operands[1], [frame.prefix + label for label in labels]))

    def _barrier(self, frame: Frame, of: Instruction) -> None:
        barrier = barrier_of(of)
        if barrier is None:
            raise NoMeaningError
        line = self._emit(frame, of, "barrier")
        line.mode, line.aligned, line.flags = barrier.mode, barrier.aligned, int(barrier.negated)
        given = (barrier.destination, barrier.number, barrier.threads, barrier.predicate)
        types = ("u32" if "popc" in of.modifiers else "pred", "u32", "u32", "pred")
        for index, (operand, type_name) in enumerate(zip(given, types, strict=True)):
            if isinstance(operand, Register) and size_of(operand.type) != size_of(type_name):
                raise NoMeaningError
            if operand is not None:
                self._operand(frame, line, index, operand, type_name)

    # ---- calls

    def _call(self, frame: Frame, of: Instruction) -> None:
        groups = [operand.elements for operand in of.operands if isinstance(operand, Group)]
        names = [operand.name for operand in of.operands if isinstance(operand, Symbol)]
        returns = groups.pop(0) if of.operands and isinstance(of.operands[0], Group) else ()
        arguments = groups.pop(0) if groups else ()
        if names and names[0] in _SYSTEM_CALLS:
            self._system_call(frame, of, names[0], returns, arguments)
            return
        called = next((operand for operand in of.operands if not isinstance(operand, Group)), None)
        callees = callees_of(self._module, frame.function, of)
        if isinstance(called, Register) and size_of(called.type) == size_of("b64"):
            self._indirect_call(frame, of, called, callees, (returns, arguments))
        elif len(callees) == 1:
            self._direct_call(frame, of, callees[0], returns, arguments)
        else:
            raise NoMeaningError

    def _direct_call(
        self, frame: Frame, of: Instruction, callee: Function, returns: Sequence[Operand], arguments: Sequence[Operand]
    ) -> None:
        if len(arguments) != len(callee.parameters) or len(returns) != len(callee.returns):
            raise NoMeaningError
        inner = self._frame(callee)
        given = [
            (self._local(frame, argument), inner.local[parameter.name], parameter.size)
            for argument, parameter in zip(arguments, callee.parameters, strict=True)
        ]
        given_back = [
            (inner.local[parameter.name], self._local(frame, result), parameter.size)
            for result, parameter in zip(returns, callee.returns, strict=True)
        ]
        if self._graph.comes_back(frame.function.name, callee.name):
            line = self._emit(frame, of, "call")
            line.mode = _CALL_AGAIN
            line.operands[2:4] = self._list([value for each in given for value in each])
            line.operands[4:6] = self._list([value for each in given_back for value in each])
            self._again.append((frame, line))
        else:
            for each in given:
                self._copy(frame, of, *each)
            line = self._emit(frame, of, "call")
            for each in given_back:
                self._copy(frame, of, *each)
        self._targets.append((line, inner.prefix))

    def _indirect_call(
        self,
        frame: Frame,
        of: Instruction,
        to: Register,
        callees: Sequence[Function],
        groups: tuple[Sequence[Operand], Sequence[Operand]],
    ) -> None:
        """For each function that it may be for, a call by the lanes whose address is its; lanes that are left trap."""
        free = replace(of, guard=None, negated=False)
        others = Register("%others", "pred")
        self._added(frame, free, "not" if of.negated else "mov", ("pred",), (others, of.guard or Immediate(1)))
        for index, target in enumerate(callees):
            mine = Register(f"%target{index}", "pred")
            address = Immediate(reading.function_address(self._module, target.name))
            self._added(frame, free, "setp", ("eq", "and", "u64"), (mine, to, address, others))
            self._added(frame, free, "setp", ("ne", "and", "u64"), (others, to, address, others))
            self._direct_call(frame, replace(free, guard=mine), target, *groups)
        self._emit(frame, replace(free, guard=others), "trap").mode = _TRAP_OF_CALL

    def _system_call(
        self, frame: Frame, of: Instruction, name: str, returns: Sequence[Operand], arguments: Sequence[Operand]
    ) -> None:
        """A function that CUDA has and no PTX holds, as an instruction of ours (CUDA C++ guide, "Device runtime")."""
        registers: list[Operand] = [Register("%result", "b32")] if name == "vprintf" else []
        for index, (argument, bits) in enumerate(zip(arguments, _SYSTEM_CALLS[name], strict=False)):
            register = Register(f"%argument{index}_{bits}", f"b{bits}")
            address = Address(LOCAL_BASE, self._local(frame, argument))
            self._added(frame, of, "ld", ("local", register.type), (register, address))
            registers.append(register)
        self._added(frame, of, name.strip("_"), (), tuple(registers))
        for result in returns:
            address = Address(LOCAL_BASE, self._local(frame, result))
            self._added(frame, of, "st", ("local", "b32"), (address, registers[0]))

    def _copy(self, frame: Frame, of: Instruction, source: int, target: int, size: int) -> None:
        """Bytes of a thread's frame, as an argument or a result of a call goes."""
        bytes_ = next(width for width in (8, 4, 2, 1) if not (size % width or source % width or target % width))
        between = Register(f"%argument_{bytes_}", f"b{8 * bytes_}")
        for at in range(0, size, bytes_):
            self._added(frame, of, "ld", ("local", between.type), (between, Address(LOCAL_BASE, source + at)))
            self._added(frame, of, "st", ("local", between.type), (Address(LOCAL_BASE, target + at), between))
