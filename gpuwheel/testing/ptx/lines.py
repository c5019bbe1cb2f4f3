"""One line of a program: an instruction with its places, as the interpreter reads it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.control import KINDS

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.syntax import Immediate, Instruction

__all__ = ["Line", "bits_of"]

_NONE = 0xFFFFFFFF
_MOST_OPERANDS = 40
_NOWHERE = [_NONE] * _MOST_OPERANDS
_LINE = struct.Struct(f"<Q4B4IiIIQ{_MOST_OPERANDS}I")


@dataclass(slots=True)
class Line:
    """`Instruction` of native/machine.h."""

    kind: str
    of: Instruction | None
    guard: int = _NONE
    negated: bool = False
    handler: int = 0
    mode: int = 0
    aligned: bool = False
    target: int = _NONE
    members: int = _NONE
    offset: int = 0
    site: int = 0
    flags: int = 0
    constants: int = 0
    operands: list[int] = field(default_factory=_NOWHERE.copy)

    def packed(self) -> bytes:
        """Its bytes; an operand that is not there is `NONE`."""
        head = (self.handler, KINDS.index(self.kind), self.negated, self.mode, self.aligned, self.guard, self.target)
        line = self.of.line if self.of else 0
        more = (self.members, line, self.offset, self.site, self.flags, self.constants)
        return _LINE.pack(*head, *more, *self.operands)


def bits_of(immediate: Immediate, type_name: str) -> int:
    """The bits of a constant in a register: a double where a single is wanted is rounded."""
    if immediate.kind == "f64" and type_name == "f32":
        (value,) = struct.unpack("<d", struct.pack("<Q", immediate.bits))
        return int.from_bytes(struct.pack("<f", value), "little")
    return immediate.bits
