"""One instruction of x86-64 at a time: its length, where it leads, and whether older CPUs know it.

Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: chapter 2, "Instruction Format" (prefixes, REX,
ModRM, SIB, VEX in 2.3.5, EVEX in 2.7.1), and appendix A, "Opcode Map". What a compiler for 64-bit programs does not
write (far calls, 3DNow, XOP) is unknown here, and whoever follows code stops there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST", "Flow", "Instruction", "decode"]

LONGEST = 15
"""Bytes of any instruction."""


class Flow(Enum):
    """What is executed next."""

    ON = "the next instruction"
    JUMP = "the target"
    BRANCH = "the target or the next instruction"
    CALL = "the target, and then the next instruction"
    END = "what the file does not tell"


@dataclass(frozen=True)
class Instruction:
    """One."""

    size: int
    """In bytes."""
    flow: Flow = Flow.ON
    distance: int = 0
    """Of the target, from the end of the instruction."""
    extension: str | None = None
    """"AVX" (VEX prefix: AVX, FMA, BMI) or "AVX-512" (EVEX prefix); `None` for all others."""


class _Form(NamedTuple):
    """What follows an opcode."""

    operand: bool = False
    """ModRM, and what that brings."""
    fixed: int = 0
    """Bytes of an immediate or a distance."""
    sized: bool = False
    """Whether there is an immediate of the operand's size, of four bytes at most."""
    flow: Flow = Flow.ON


_PREFIXES = frozenset({0x66, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0x67})
_OPERAND_SIZE = 0x66
_REX, _REX_W = range(0x40, 0x50), 8
_SECOND_TABLE, _MAP_38, _MAP_3A = 0x0F, 0x38, 0x3A
_VEX_2, _VEX_3, _EVEX, _VZERO = 0xC5, 0xC4, 0x62, 0x77
_TABLES = {_VEX_2: {1}, _VEX_3: {1, 2, 3}, _EVEX: {1, 2, 3, 5, 6}}
"""Maps of opcodes behind each prefix: 0F, 0F38, 0F3A, and two of 16-bit floats."""
_WITH_IMMEDIATE = 3
"""Map 0F3A: each has a byte behind its operand."""
_REGISTER, _SCALED, _NO_BASE, _FAR = 3, 4, 5, 2
"""mod of a register; rm that a SIB byte follows; base that is none; mod of four bytes of displacement."""


def _rows(opcodes: Iterable[int], form: _Form) -> dict[int, _Form]:
    return dict.fromkeys(opcodes, form)


_FIRST: dict[int, _Form] = {
    # ADD ... CMP: four with operands, two with immediates; what is left of the rows is not in 64-bit code.
    **_rows((row + one for row in range(0, 0x40, 8) for one in range(4)), _Form(operand=True)),
    **_rows(range(0x04, 0x40, 8), _Form(fixed=1)),
    **_rows(range(0x05, 0x40, 8), _Form(sized=True)),
    **_rows([*range(0x50, 0x60), *range(0x6C, 0x70), *range(0x90, 0x9A), *range(0x9B, 0xA0)], _Form()),
    **_rows([*range(0xA4, 0xA8), *range(0xAA, 0xB0), 0xC9, 0xD7, *range(0xEC, 0xF0), 0xF5], _Form()),
    **_rows(range(0xF8, 0xFE), _Form()),
    **_rows([0x63, *range(0x84, 0x8F), *range(0xD0, 0xD4), *range(0xD8, 0xE0), 0xFE], _Form(operand=True)),
    **_rows([0x6A, 0xA8, *range(0xB0, 0xB8), 0xCD, *range(0xE4, 0xE8)], _Form(fixed=1)),
    **_rows([0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6], _Form(operand=True, fixed=1)),
    **_rows([0x68, 0xA9], _Form(sized=True)),
    **_rows([0x69, 0x81, 0xC7], _Form(operand=True, sized=True)),
    **_rows(range(0xA0, 0xA4), _Form(fixed=8)),
    **_rows([*range(0x70, 0x80), *range(0xE0, 0xE4)], _Form(fixed=1, flow=Flow.BRANCH)),
    0xC8: _Form(fixed=3),
    0xE8: _Form(fixed=4, flow=Flow.CALL),
    0xE9: _Form(fixed=4, flow=Flow.JUMP),
    0xEB: _Form(fixed=1, flow=Flow.JUMP),
    0xC2: _Form(fixed=2, flow=Flow.END),
    **_rows([0xC3, 0xCC, 0xF4], _Form(flow=Flow.END)),
}
_MOVES = range(0xB8, 0xC0)
"""MOV of an immediate that alone may have eight bytes."""
_GROUPS: dict[int, tuple[_Form | None, ...]] = {
    # By the register field of ModRM. 8F with another is XOP.
    0x8F: (_Form(operand=True), *[None] * 7),
    0xF6: (*[_Form(operand=True, fixed=1)] * 2, *[_Form(operand=True)] * 6),
    0xF7: (*[_Form(operand=True, sized=True)] * 2, *[_Form(operand=True)] * 6),
    # INC, DEC, CALL and JMP through a register or memory, PUSH. Whom CALL calls comes back.
    0xFF: (*[_Form(operand=True)] * 4, *[_Form(operand=True, flow=Flow.END)] * 2, _Form(operand=True), None),
}
_SECOND: dict[int, _Form] = {
    **_rows(range(0x100), _Form(operand=True)),
    **_rows([0x05, 0x06, 0x08, 0x09, *range(0x30, 0x36), 0x37, 0x77, 0xA0, 0xA1, 0xA2, 0xA8, 0xA9], _Form()),
    **_rows(range(0xC8, 0xD0), _Form()),
    **_rows([0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6], _Form(operand=True, fixed=1)),
    **_rows(range(0x80, 0x90), _Form(fixed=4, flow=Flow.BRANCH)),
    **_rows([0x0B, 0xB9, 0xFF], _Form(flow=Flow.END)),
}
_UNKNOWN = frozenset({0x04, 0x0A, 0x0C, 0x0E, 0x0F, *range(0x24, 0x28), 0x36, 0x39, *range(0x3B, 0x40), 0x07, 0xAA})


def decode(code: bytes) -> Instruction | None:
    """The instruction at the beginning of some bytes; `None` where it is unknown, or is not all there."""
    try:
        found = _decoded(code)
    except IndexError:
        return None
    return found if found is not None and found.size <= min(len(code), LONGEST) else None


def _decoded(code: bytes) -> Instruction | None:
    at = 0
    while code[at] in _PREFIXES:
        at += 1
    if code[at] in _TABLES:
        return _vector(code, at)
    wide = code[at] in _REX and bool(code[at] & _REX_W)
    full = 2 if _OPERAND_SIZE in code[:at] and not wide else 4
    at += code[at] in _REX
    opcode = code[at]
    at += 1
    if opcode in _MOVES:
        return Instruction(at + (8 if wide else full))
    if opcode == _SECOND_TABLE:
        form, at = _second(code, at)
    elif opcode in _GROUPS:
        form = _GROUPS[opcode][code[at] >> 3 & 7]
    else:
        form = _FIRST.get(opcode)
    if form is None:
        return None
    end = at + (_operand(code, at) if form.operand else 0) + form.fixed + full * form.sized
    leads = form.flow in {Flow.BRANCH, Flow.CALL, Flow.JUMP}
    return Instruction(end, form.flow, int.from_bytes(code[at:end], "little", signed=True) if leads else 0)


def _second(code: bytes, at: int) -> tuple[_Form | None, int]:
    """Behind 0F: the form, and where its operand begins."""
    opcode = code[at]
    if opcode in {_MAP_38, _MAP_3A}:
        return _Form(operand=True, fixed=int(opcode == _MAP_3A)), at + 2
    return (None if opcode in _UNKNOWN else _SECOND[opcode]), at + 1


def _vector(code: bytes, at: int) -> Instruction | None:
    """Of VEX or EVEX."""
    kind = code[at]
    table = 1 if kind == _VEX_2 else code[at + 1] & (0x1F if kind == _VEX_3 else 7)
    at += {_VEX_2: 2, _VEX_3: 3, _EVEX: 4}[kind]
    opcode = code[at]
    at += 1
    name = "AVX-512" if kind == _EVEX else "AVX"
    if table not in _TABLES[kind]:
        return None
    if kind != _EVEX and (table, opcode) == (1, _VZERO):
        return Instruction(at, extension=name)
    immediate = table == _WITH_IMMEDIATE or (table == 1 and _SECOND[opcode].fixed == 1)
    return Instruction(at + _operand(code, at) + immediate, extension=name)


def _operand(code: bytes, at: int) -> int:
    """Bytes of ModRM, SIB and displacement."""
    mode, register = code[at] >> 6, code[at] & 7
    if mode == _REGISTER:
        return 1
    scaled = register == _SCALED
    base = code[at + 1] & 7 if scaled else register
    moved = 4 if mode == _FAR or (mode == 0 and base == _NO_BASE) else mode
    return 1 + scaled + moved
