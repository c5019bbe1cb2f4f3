"""One line of a program: an instruction with its places, as the interpreter reads it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.control import KINDS

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.syntax import Instruction

__all__ = ["Line"]

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
