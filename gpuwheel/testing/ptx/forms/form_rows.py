"""Rows of the table of meanings, and which of them is that of an instruction.

A row is written as the PTX ISA writes its syntax, e.g. `add{.rnd}{.ftz}{.sat}.f32 d, a, b`: `.name` is itself, or one
of `sets["name"]`; in braces it may be missing. Its meaning is C, formatted with what was found: `{rnd}` is the modifier
(empty if missing, without its point), `{{` a brace. Operands are C variables of the row's type (the set `type`, or the
last modifier), or of the type after a colon: `d:u32`, `c:wide`, `p:pred`, `a:{atype}`. `d|p` is a pair, `[a]` an
address, `d[4]` a vector of four.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OperandRole", "Row", "row"]

_MODIFIER = re.compile(r"\{\.([\w:]+)\}|\.([\w:]+)")
_ROLE = re.compile(r"(\[)?(!)?(\w+?)(?:\[(\d+|\{\w+\})\])?(?::([\w{}]+))?(\])?")


@dataclass(frozen=True)
class OperandRole:
    """One operand of a row: its C name, its type, and how it is written."""

    name: str
    type: str | None
    """None: that of the row."""
    address: bool = False
    elements: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class Row:
    """One row: what instructions look like, what they mean, and where the manual says so."""

    syntax: str
    section: str
    """Of the PTX ISA (release 9.0)."""
    meaning: str
    sets: Mapping[str, tuple[str, ...]]
    native: bool = False
    """`meaning` is the name of a C function for a whole warp (native/machine.h), not an expression for a lane."""

    @cached_property
    def opcode(self) -> str:
        """E.g. `add`."""
        return re.split(r"[.{ ]", self.syntax, maxsplit=1)[0]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Of the modifiers, each with its point before it."""
        head = self.syntax.split(" ", 1)[0][len(self.opcode) :]
        parts = []
        for optional, needed in _MODIFIER.findall(head):
            name = optional or needed
            choices = "|".join(map(re.escape, self.sets.get(name, (name,))))
            group = re.sub(r"\W", "_", name)
            parts.append(rf"(?:\.(?P<{group}>{choices}))" + ("?" if optional else ""))
        return re.compile("".join(parts))

    @cached_property
    def roles(self) -> tuple[OperandRole, ...]:
        """The operands, in their order; a pair is two."""
        _, _, text = self.syntax.partition(" ")
        found = []
        for part in re.split(r"\s*[,|]\s*", text.strip()) if text.strip() else ():
            match = _ROLE.fullmatch(part.strip("{} ") if part.startswith("{") and ":" not in part else part)
            if match is None:
                msg = f"operand {part!r} of {self.syntax!r}"
                raise ValueError(msg)
            address, _, name, elements, type_name, _ = match.groups()
            found.append(OperandRole(name, type_name, address is not None, elements))
        return tuple(found)

    def match(self, modifiers: tuple[str, ...]) -> dict[str, str] | None:
        """What each set is in these modifiers ("" if missing), or None."""
        found = self.pattern.fullmatch("".join(f".{name}" for name in modifiers))
        return None if found is None else {name: value or "" for name, value in found.groupdict().items()}


def row(syntax: str, section: str, meaning: str, *, native: bool = False, **sets: str) -> Row:
    """A row; each set is words, e.g. `rnd="rn rz rm rp"`."""
    return Row(syntax, section, meaning, {name: tuple(words.split()) for name, words in sets.items()}, native)
