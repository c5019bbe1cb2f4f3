"""Rows of the table of meanings, and which of them is that of an instruction.

A row is written as the PTX ISA writes its syntax, e.g. `add{.rnd}{.ftz}{.sat}.f32 d, a, b`: `.name` is itself, or one
of `sets["name"]`; in braces it may be missing. Its meaning is C, formatted with what was found: `{rnd}` is the modifier
(empty if missing, without its point), `{{` a brace. Operands are C variables of the row's type (the set `type`, or the
last modifier), or of the type after a colon: `d:u32`, `c:wide` (twice as many bits), `p:pred`, `a:{atype}`. `d|p` is a
pair, of which `|p` may be missing; `c?` may be missing (`{has_c}` is 1 or 0); `[a]` is an address (C: its 64 bits);
`d[4]` is a vector, `d0` to `d3` in C; `cc` is the carry flag, which no instruction names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Role", "Row", "row", "warp_row"]

_MODIFIER = re.compile(r"\{\.([\w:]+)\}|\.([\w:]+)")
# Modifiers that assemblers take at other places than the manual has them, e.g. `min.s32.relu`, `atom.add.relaxed.gpu`.
_MOVABLE = frozenset(
    re.findall(
        r"\w+",
        """
        ftz sat relu satfinite NaN sync aligned m8n8 x1 x2 x4 trans
        weak relaxed acquire release acq_rel volatile cta cluster gpu sys
        """,
    )
)
_ROLE = re.compile(
    r"(?P<address>\[)?(?P<name>\w+)(?:\[(?P<elements>\d+)\])?(?::(?P<type>[\w{}]+))?\]?(?P<optional>\?)?"
)


@dataclass(frozen=True)
class Role:
    """One operand of a row: its name in C, its type, and how it is written."""

    name: str
    type: str | None
    """None: that of the row."""
    address: bool
    elements: int
    """Of a vector; 0: none."""
    optional: bool
    second: bool
    """The second of a pair with the one before."""


@dataclass(frozen=True)
class Row:
    """One row: what instructions look like, what they mean, and where the manual says so."""

    syntax: str
    section: str
    """Of the PTX ISA (release 9.0)."""
    meaning: str
    sets: Mapping[str, tuple[str, ...]]
    native: bool = False
    """`meaning` is a statement in C for a whole warp (`w`, `i`, `on`), not one for each lane."""
    bound: str = ""
    """Of an approximation: how far the manual lets it be from the exact value. The meaning is nearer."""

    @cached_property
    def opcode(self) -> str:
        """E.g. `add`."""
        return re.split(r"[.{ ]", self.syntax, maxsplit=1)[0]

    @cached_property
    def _head(self) -> str:
        return self.syntax.split(" ", 1)[0][len(self.opcode) :]

    @cached_property
    def modifiers(self) -> tuple[tuple[str, bool], ...]:
        """What may stand behind the opcode: the name of each, and whether it may be missing."""
        return tuple((optional or needed, bool(optional)) for optional, needed in _MODIFIER.findall(self._head))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Of the modifiers, each with its point before it."""
        parts = []
        for name, optional in self.modifiers:
            choices = "|".join(map(re.escape, self.sets.get(name, (name,))))
            if optional or name in self.sets:
                group = re.sub(r"\W", "_", name)
                parts.append(rf"(?:\.(?P<{group}>{choices}))" + ("?" if optional else ""))
            else:
                parts.append(rf"\.{choices}")
        return re.compile("".join(parts))

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        """The operands, in their order; a pair is two."""
        _, _, text = self.syntax.partition(" ")
        found = []
        for operand in re.split(r",\s*", text.strip()) if text.strip() else ():
            for index, part in enumerate(operand.split("|")):
                match = _ROLE.fullmatch(part)
                if match is None:
                    msg = f"operand {part!r} of {self.syntax!r}"
                    raise ValueError(msg)
                of = match.groupdict()
                found.append(
                    Role(
                        of["name"],
                        of["type"],
                        bool(of["address"]),
                        int(of["elements"] or 0),
                        bool(of["optional"]),
                        index == 1,
                    )
                )
        return tuple(found)

    @cached_property
    def collective(self) -> bool:
        """Whether lanes wait for each other here: natives with `.sync`."""
        return self.native and ".sync" in self._head

    def match(self, modifiers: tuple[str, ...]) -> dict[str, str] | None:
        """What each set is in these modifiers ("" if missing), or None."""
        found = self.pattern.fullmatch("".join(f".{name}" for name in modifiers))
        if found is None and not _MOVABLE.isdisjoint(modifiers):
            found = self.pattern.fullmatch("".join(f".{name}" for name in self._in_order(modifiers)))
        return None if found is None else {name: value or "" for name, value in found.groupdict().items()}

    def _in_order(self, modifiers: tuple[str, ...]) -> list[str]:
        """The movable ones where this row has them; the others stay in the order that they have."""
        moved = [name for name in modifiers if name in _MOVABLE]
        fixed = [name for name in modifiers if name not in _MOVABLE]
        ordered = []
        for name, optional in self.modifiers:
            choices = self.sets.get(name, (name,))
            if fixed and fixed[0] in choices:
                ordered.append(fixed.pop(0))
            elif chosen := next((each for each in moved if each in choices), None):
                ordered.append(chosen)
                moved.remove(chosen)
            elif not optional:
                break
        return [*ordered, *fixed, *moved]


def row(syntax: str, section: str, meaning: str, **sets: str) -> Row:
    """A row whose meaning is that of one lane; each set is words, e.g. `rnd="rn rz rm rp"`."""
    return Row(syntax, section, meaning, {name: tuple(words.split()) for name, words in sets.items()})


def warp_row(syntax: str, section: str, meaning: str, **sets: str) -> Row:
    """A row whose meaning is that of a whole warp: a statement in C with `w`, `i` and `on`."""
    return replace(row(syntax, section, meaning, **sets), native=True)
