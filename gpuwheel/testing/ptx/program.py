"""Programs of the interpreter: an entry and the functions that it calls, as one flat block of bytes (native/program.c).

Each register has a slot: 32 values side by side, aligned to 64 bytes. Constants and parameters stand in a table that a
launch fills; shared variables are offsets; the local variables of all functions are one frame of each thread, so that a
function which calls itself is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.control import KINDS, barrier_of
from gpuwheel.testing.ptx.handlers import Form, form_of
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

_NONE = 0xFFFFFFFF
_MOST_OPERANDS = 40
_LANES = 32
_INSTRUCTION = struct.Struct("<Q4B4IiIIQ" + f"{_MOST_OPERANDS}I")
_CONSTANT = struct.Struct("<IIQ")
_HEADER = struct.Struct("<8s8I")
_MAGIC = b"gwptx001"
_VALUE, _OF_PARAMETERS, _OF_SHARED, _OF_VARIABLE = range(4)
_DIMENSIONS = "xyz"
# `SpecialKind` of native/machine.h, in its order.
_SPECIALS = (
    *(f"{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in _DIMENSIONS),
    *("laneid", "warpid", "nwarpid", "smid", "nsmid", "gridid"),
    *(f"lanemask_{which}" for which in ("eq", "le", "lt", "ge", "gt")),
    *("dynamic_smem_size", "total_smem_size"),
    *(
        f"{name}.{axis}"
        for name in ("clusterid", "nclusterid", "cluster_ctaid", "cluster_nctaid")
        for axis in _DIMENSIONS
    ),
    *("cluster_ctarank", "cluster_nctarank", "is_explicit_cluster", "local_base", "zero"),
)


@dataclass(frozen=True)
class Program:
    """One entry, ready to be laid out: its forms, and where each instruction stands in the PTX."""

    kernel: str
    forms: tuple[Form, ...]
    """Those that it needs, without repetition."""
    block: bytes
    """For native/program.c. Handlers are indices into `forms`."""
    instructions: tuple[Instruction | None, ...]
    """What stands at each index of the program; None: what we added."""
    variables: tuple[str, ...]
    """Of the module, in the order of `Launch.variables`."""
    parameters: tuple[Variable, ...]
    offsets: tuple[int, ...]
    """Of the parameters, in bytes."""
    parameter_bytes: int
    missing: tuple[Instruction, ...] = ()
    """Instructions without a meaning: reached, they end the launch."""


# The addresses of a thread's frame, which a launch fills; and functions of CUDA's own, by the bits of their arguments.
_LOCAL_BASE = Register("%local_base", "b64")
_SYSTEM_CALLS = {"vprintf": (64, 64), "__assertfail": (64, 64, 32, 64)}
_CLOCKS = {"clock": 32, "clock_hi": 32, "clock64": 64, "globaltimer": 64, "globaltimer_lo": 32, "globaltimer_hi": 32}


class _Unsupported(Exception):  # noqa: N818 - it never leaves this module
    """An operand that has no place in a program: its instruction becomes `missing`."""


def make_program(module: Module, kernel: str) -> Program:
    """The program of one entry.

    Raises:
        PtxError: the text is damaged, or has no such entry.
    """
    return _Assembler(module, kernel).assemble()


@dataclass
class _Frame:
    """What one function has: its slots, and where its variables are."""

    function: Function
    prefix: str
    local: dict[str, int] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    start: int = 0


class _Assembler:
    def __init__(self, module: Module, kernel: str) -> None:
        self._module = module
        self._entry = reading.function(module, kernel)
        self._slots: dict[str, int] = {}
        self._room = 0
        self._constants: list[tuple[int, int, int]] = []
        self._known_constants: dict[tuple[int, int, int], int] = {}
        self._specials: dict[str, int] = {}
        self._forms: dict[str, Form] = {}
        self._numbers: dict[str, int] = {}
        self._code: list[list[int]] = []
        self._of: list[Instruction | None] = []
        self._targets: list[tuple[int, int, str]] = []  # instruction, operand or -1, label
        self._labels: dict[str, int] = {}
        self._local_bytes = 0
        self._shared: dict[str, int] = {}
        self._shared_bytes = 0
        self._dynamic_align = 1
        self._calls: list[tuple[str, str, int]] = []  # caller, callee, instruction
        self._variables: dict[str, int] = {}
        self._missing: list[Instruction] = []
        self._sites = 0
        self._frames: dict[str, _Frame] = {}
        self._waiting: list[_Frame] = []
        self._offsets: dict[str, int] = {}

    def assemble(self) -> Program:
        at = 0
        for parameter in self._entry.parameters:
            at = -(-at // parameter.align) * parameter.align
            self._offsets[parameter.name] = at
            at += parameter.size
        self._frame(self._entry)
        while self._waiting:
            self._function(self._waiting.pop(0))
        self._settle()
        return Program(
            kernel=self._entry.name,
            forms=tuple(self._forms.values()),
            block=self._block(at),
            instructions=tuple(self._of),
            variables=tuple(self._variables),
            parameters=self._entry.parameters,
            offsets=tuple(self._offsets.values()),
            parameter_bytes=at,
            missing=tuple(self._missing),
        )

    def _settle(self) -> None:
        """What is known only at the end: where labels are, where dynamic shared memory begins, who calls itself."""
        for index, operand, label in self._targets:
            if operand < 0:
                self._code[index][_TARGET] = self._labels[label]
            else:
                self._constants[operand] = (_VALUE, 0, self._labels[label])
        self._shared_bytes = -(-self._shared_bytes // self._dynamic_align) * self._dynamic_align
        for index, (kind, dynamic, value) in enumerate(self._constants):
            if kind == _OF_SHARED and dynamic:
                self._constants[index] = (_OF_SHARED, 0, value + self._shared_bytes)
        for caller, callee, index in self._calls:
            if caller in self._reached(callee):
                self._code[index][_KIND] = KINDS.index("missing")
                self._missing.extend(filter(None, [self._of[index]]))

    def _reached(self, function: str) -> set[str]:
        found, waiting = set(), [function]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(callee for caller, callee, _ in self._calls if caller == name)
        return found

    def _block(self, parameter_bytes: int) -> bytes:
        sizes = (
            len(self._code),
            len(self._constants),
            len(self._specials),
            -(-self._room // 64) * 64,
            self._shared_bytes,
            -(-self._local_bytes // 16) * 16,
            parameter_bytes,
            self._sites,
        )
        specials = b"".join(
            struct.pack("<II", _SPECIALS.index(name), slot)
            for name, slot in sorted(self._specials.items(), key=lambda item: item[1])
        )
        return b"".join(
            [
                _HEADER.pack(_MAGIC, *sizes),
                *(_INSTRUCTION.pack(*each) for each in self._code),
                *(_CONSTANT.pack(*each) for each in self._constants),
                specials,
            ]
        )

    # ---- functions

    def _frame(self, function: Function) -> _Frame:
        found = self._frames.get(function.name)
        if found is not None:
            return found
        frame = _Frame(function, f"{len(self._frames)}:")
        self._frames[function.name] = frame
        self._waiting.append(frame)
        inner = [variable for variable in function.variables.values() if variable.space in {"local", "param"}]
        for variable in (*inner, *(() if function.entry else (*function.parameters, *function.returns))):
            if variable.name in frame.local:
                continue
            align = max(variable.align, 1)
            self._local_bytes = -(-self._local_bytes // align) * align
            frame.local[variable.name] = self._local_bytes
            self._local_bytes += variable.size
        return frame

    def _function(self, frame: _Frame) -> None:
        self._labels[f"{frame.prefix}"] = len(self._code)
        for each in frame.function.body:
            if isinstance(each, Label):
                self._labels[frame.prefix + each.name] = len(self._code)
                continue
            try:
                self._instruction(frame, each)
            except _Unsupported:
                self._emit(each, "missing", frame)
                self._missing.append(each)
        self._emit(None, "return", frame)

    # ---- instructions

    def _emit(self, of: Instruction | None, kind: str, frame: _Frame) -> list[int]:
        guard, negated = _NONE, 0
        if of is not None and of.guard is not None:
            guard, negated = self._slot(frame, of.guard), int(of.negated)
        operands = [_NONE] * _MOST_OPERANDS
        made = [0, KINDS.index(kind), negated, 0, 0, guard, _NONE, _NONE, of.line if of else 0, 0, 0, 0, 0, *operands]
        self._code.append(made)
        self._of.append(of)
        return made

    def _instruction(self, frame: _Frame, of: Instruction) -> None:
        plain = {"exit": "exit", "ret": "return", "trap": "trap", "brkpt": "trap"}.get(of.opcode)
        if plain is not None:
            self._emit(of, plain, frame)
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
            raise _Unsupported
        self._targets.append((len(self._code), -1, frame.prefix + target.name))
        self._emit(of, "branch", frame)

    def _table(self, frame: _Frame, of: Instruction) -> None:
        index, table = of.operands
        if not isinstance(table, Symbol) or table.name not in frame.function.branch_targets:
            raise _Unsupported
        labels = frame.function.branch_targets[table.name]
        made = self._emit(of, "table", frame)
        self._operand(frame, made, 0, index, "u32")
        made[_AT + 1], made[_AT + 2] = len(self._constants), len(labels)
        for label in labels:
            self._targets.append((len(self._code) - 1, len(self._constants), frame.prefix + label))
            self._constants.append((_VALUE, 0, 0))

    def _barrier(self, frame: _Frame, of: Instruction) -> None:
        barrier = barrier_of(of)
        if barrier is None:
            raise _Unsupported
        made = self._emit(of, "barrier", frame)
        made[_MODE], made[_ALIGNED], made[_FLAGS] = barrier.mode, int(barrier.aligned), int(barrier.negated)
        given = (barrier.destination, barrier.number, barrier.threads, barrier.predicate)
        for index, (operand, type_name) in enumerate(zip(given, ("u32", "u32", "u32", "pred"), strict=True)):
            if operand is not None:
                self._operand(frame, made, index, operand, type_name)

    def _computation(self, frame: _Frame, of: Instruction) -> None:
        addresses = [operand for operand in of.operands if isinstance(operand, Address)]
        of = replace(of, operands=tuple(self._prepared(frame, of, operand, addresses) for operand in of.operands))
        found = form_of(of)
        if found is None:
            raise _Unsupported
        form, operands = found
        yields = of.opcode == "nanosleep" or "try_wait" in of.modifiers or "test_wait" in of.modifiers
        kind = "collective" if form.row.collective else "yield" if yields else "plain"
        made = self._emit(of, kind, frame)
        made[0] = self._numbers.setdefault(form.symbol, len(self._numbers))
        self._forms.setdefault(form.symbol, form)
        try:
            for place, operand in zip(form.places, operands, strict=True):
                if operand is None:
                    continue
                self._operand(frame, made, place.index, operand, place.type)
                if place.name == "membermask":
                    made[_MEMBERS] = place.index
                if place.address:
                    made[_SITE], self._sites = self._sites, self._sites + 1
        except _Unsupported:
            self._code.pop()
            self._of.pop()
            raise

    def _prepared(self, frame: _Frame, of: Instruction, operand: Operand, addresses: list[Address]) -> Operand:
        """What differs from lane to lane is computed before: addresses of local variables, clocks, second offsets."""
        if isinstance(operand, Address) and operand is not addresses[0] and operand.offset:
            register = Register("%address", "b64")
            self._added(frame, of, "address", ("b64",), (register, operand))
            return Address(register)
        if isinstance(operand, Symbol) and operand.name in frame.local:
            register = Register("%address", "b64")
            self._added(frame, of, "address", ("b64",), (register, Address(operand)))
            return register
        if isinstance(operand, Special) and operand.name in _CLOCKS:
            bits = _CLOCKS[operand.name]
            register = Register(f"%{operand.name}", f"b{bits}")
            self._added(frame, of, "clock", (f"b{bits}",), (register,))
            return register
        return operand

    # ---- calls

    def _call(self, frame: _Frame, of: Instruction) -> None:
        groups = [operand for operand in of.operands if isinstance(operand, Group)]
        names = [operand.name for operand in of.operands if isinstance(operand, Symbol)]
        returns = groups.pop(0).elements if of.operands and isinstance(of.operands[0], Group) else ()
        arguments = groups.pop(0).elements if groups else ()
        if len(names) == 1 and names[0] in _SYSTEM_CALLS:
            self._system_call(frame, of, names[0], arguments)
            return
        if len(names) != 1 or names[0] not in self._module.spans:
            raise _Unsupported
        callee = reading.function(self._module, names[0])
        inner = self._frame(callee)
        for argument, parameter in zip(arguments, callee.parameters, strict=True):
            self._copy(frame, of, self._local(frame, argument), inner.local[parameter.name], parameter.size)
        self._calls.append((frame.function.name, callee.name, len(self._code)))  # a thread has one frame for each
        self._targets.append((len(self._code), -1, inner.prefix))
        self._emit(of, "call", frame)
        for result, parameter in zip(returns, callee.returns, strict=True):
            self._copy(frame, of, inner.local[parameter.name], self._local(frame, result), parameter.size)

    def _system_call(self, frame: _Frame, of: Instruction, name: str, arguments: Sequence[Operand]) -> None:
        """A function that CUDA has and no PTX holds, as an instruction of ours (CUDA C++ guide, "Device runtime")."""
        registers = []
        for index, (argument, bits) in enumerate(zip(arguments, _SYSTEM_CALLS[name], strict=False)):
            register = Register(f"%argument{index}_{bits}", f"b{bits}")
            self._added(
                frame, of, "ld", ("local", f"b{bits}"), (register, Address(_LOCAL_BASE, self._local(frame, argument)))
            )
            registers.append(register)
        self._added(frame, of, name.strip("_"), (), tuple(registers))

    def _added(
        self, frame: _Frame, of: Instruction, opcode: str, modifiers: tuple[str, ...], operands: tuple[Operand, ...]
    ) -> None:
        """An instruction of our own, where and when `of` is."""
        self._computation(frame, replace(of, opcode=opcode, modifiers=modifiers, operands=operands))

    def _local(self, frame: _Frame, operand: Operand) -> int:
        if not isinstance(operand, Symbol) or operand.name not in frame.local:
            raise _Unsupported
        return frame.local[operand.name] + operand.offset

    def _copy(self, frame: _Frame, of: Instruction, source: int, target: int, size: int) -> None:
        """Bytes of a thread's frame, as an argument or a result of a call goes."""
        bits = 8 * next(width for width in (8, 4, 2, 1) if not (size % width or source % width or target % width))
        between = Register(f"%argument_{bits}", f"b{bits}")
        for at in range(0, size, bits // 8):
            self._added(frame, of, "ld", ("local", f"b{bits}"), (between, Address(_LOCAL_BASE, source + at)))
            self._added(frame, of, "st", ("local", f"b{bits}"), (Address(_LOCAL_BASE, target + at), between))

    # ---- operands

    def _slot(self, frame: _Frame, register: Register) -> int:
        if register is _LOCAL_BASE:
            return self._special("local_base", 8)
        key = frame.prefix + register.name
        if key not in self._slots:
            self._slots[key] = self._new_slot(size_of(register.type))
        return self._slots[key]

    def _new_slot(self, size: int) -> int:
        self._room = -(-self._room // 64) * 64
        at = self._room
        self._room += _LANES * size
        return at

    def _special(self, name: str, size: int = 4) -> int:
        if name not in _SPECIALS:
            raise _Unsupported
        if name not in self._specials:
            self._specials[name] = self._new_slot(size)
        return self._specials[name]

    def _constant(self, kind: int, index: int, value: int) -> int:
        key = (kind, index, value & (1 << 64) - 1)
        if key not in self._known_constants:
            self._known_constants[key] = len(self._constants)
            self._constants.append(key)
        return self._known_constants[key]

    def _operand(self, frame: _Frame, made: list[int], index: int, operand: Operand, type_name: str) -> None:
        if isinstance(operand, Address):
            made[_OFFSET] += operand.offset
            operand = operand.base
            if isinstance(operand, Symbol) and operand.name in frame.local:
                made[_OFFSET] += frame.local[operand.name] + operand.offset
                operand = _LOCAL_BASE
        match operand:
            case Register():
                made[_AT + index] = self._slot(frame, operand)
            case Negated(operand=register):
                made[_AT + index] = self._slot(frame, register)
                made[_FLAGS] |= 1
            case Special(name=name):
                made[_AT + index] = self._special(name)
            case Immediate():
                made[_AT + index] = self._constant(_VALUE, 0, _bits(operand, type_name))
                made[_CONSTANTS] |= 1 << index
            case Symbol():
                made[_AT + index] = self._address_of(frame, operand)
                made[_CONSTANTS] |= 1 << index
            case Sink():
                pass
            case _:
                raise _Unsupported

    def _address_of(self, frame: _Frame, symbol: Symbol) -> int:
        name = symbol.name
        if frame.function.entry and name in self._offsets:
            return self._constant(_OF_PARAMETERS, 0, self._offsets[name] + symbol.offset)
        variable = frame.function.variables.get(name) or self._module.variables.get(name)
        if variable is None:
            raise _Unsupported
        if variable.space == "shared" and (variable.external or not variable.size):
            self._dynamic_align = max(self._dynamic_align, variable.align)
            return self._constant(_OF_SHARED, 1, symbol.offset)
        if variable.space == "shared":
            return self._constant(_OF_SHARED, 0, self._shared_offset(variable) + symbol.offset)
        if variable.space in {"global", "const"}:
            number = self._variables.setdefault(name, len(self._variables))
            return self._constant(_OF_VARIABLE, number, symbol.offset)
        raise _Unsupported

    def _shared_offset(self, variable: Variable) -> int:
        if variable.name not in self._shared:
            align = max(variable.align, 1)
            self._shared_bytes = -(-self._shared_bytes // align) * align
            self._shared[variable.name] = self._shared_bytes
            self._shared_bytes += variable.size
        return self._shared[variable.name]


# Where in what `_INSTRUCTION` packs; operands begin at `_AT`.
_KIND, _NEGATED, _MODE, _ALIGNED, _GUARD, _TARGET, _MEMBERS, _LINE, _OFFSET, _SITE, _FLAGS, _CONSTANTS, _AT = range(
    1, 14
)


def _bits(immediate: Immediate, type_name: str) -> int:
    if immediate.kind == "f64" and type_name == "f32":
        (value,) = struct.unpack("<d", struct.pack("<Q", immediate.bits))
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
        return int(bits)
    return immediate.bits
