"""Operands of PTX instructions, one at a time: registers, addresses, vectors, constants (PTX ISA, section 6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._limits import PTX_DEPTH
from gpuwheel.testing.ptx.reading.immediates import constant, integer
from gpuwheel.testing.ptx.reading.unreadable_text import UnexpectedError
from gpuwheel.testing.ptx.syntax import (
    Address,
    Group,
    Immediate,
    Negated,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
    Vector,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.testing.ptx.syntax import Operand

__all__ = ["SPECIAL_NAMES", "OperandReader", "is_special", "split"]

SPECIAL_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        tid ntid laneid warpid nwarpid ctaid nctaid smid nsmid gridid is_explicit_cluster clusterid nclusterid
        cluster_ctaid cluster_nctaid cluster_ctarank cluster_nctarank lanemask_eq lanemask_le lanemask_lt lanemask_ge
        lanemask_gt clock clock_hi clock64 globaltimer globaltimer_lo globaltimer_hi total_smem_size aggr_smem_size
        dynamic_smem_size current_graph_exec reserved_smem_offset_begin reserved_smem_offset_end
        reserved_smem_offset_cap
        """,
    )
)
"""Special registers (section 10), without `%` and component; `envreg` and the counters have numbers."""

_NUMBERED = re.compile(r"(?:envreg|pm|reserved_smem_offset_)\d+(?:_64)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z_$%][\w$]*", re.ASCII)
_ADDRESS = re.compile(r"\[\s*([A-Za-z_$%][\w$]*(?:\.[xyzwrgba])?)\s*(?:([+-])\s*(-?\s*\w+)\s*)?\]", re.ASCII)
_MARKS = re.compile(r"[,{}()\[\]]", re.ASCII)
_CLOSING = {"{": "}", "(": ")", "[": "]"}
_SINK = Sink()


def is_special(name: str) -> bool:
    """Whether that is a special register, e.g. `tid.x` or `envreg3` (without `%`)."""
    base = name.partition(".")[0]
    return base in SPECIAL_NAMES or _NUMBERED.fullmatch(base) is not None


def split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket, without the blanks around them.

    Raises:
        UnexpectedError: brackets that do not match, or too many within each other.
    """
    if "{" not in text and "(" not in text and "[" not in text:
        return [part.strip() for part in text.split(",")]
    parts: list[str] = []
    expected: list[str] = []
    begin = 0
    for match in _MARKS.finditer(text):
        mark = match[0]
        if mark == ",":
            if not expected:
                parts.append(text[begin : match.start()].strip())
                begin = match.end()
        elif mark in _CLOSING:
            expected.append(_CLOSING[mark])
            if len(expected) > PTX_DEPTH.value:
                msg = f"fewer brackets ({PTX_DEPTH.passed('more')})"
                raise UnexpectedError(msg)
        elif not expected or expected.pop() != mark:
            msg = f"no `{mark}`"
            raise UnexpectedError(msg)
    if expected:
        msg = f"`{expected[-1]}`"
        raise UnexpectedError(msg)
    parts.append(text[begin:].strip())
    return parts


class OperandReader:
    """Reads operands; `named` tells what a name stands for, or None if nothing that is declared."""

    def __init__(self, named: Callable[[str], Operand | None]) -> None:
        self.named = named

    def read(self, text: str, *, of_call: bool = False, depth: int = 0) -> Operand:
        """One operand, without blanks around it; in a call, brackets hold arguments.

        Raises:
            UnexpectedError: it is none.
        """
        if depth > PTX_DEPTH.value:
            msg = f"fewer brackets ({PTX_DEPTH.passed('more')})"
            raise UnexpectedError(msg)
        first = text[:1]
        if first == "[":
            return self._address(text, depth)
        if first == "{":
            return Vector(self._elements(text, "}", depth))
        if first == "(" and of_call:
            return Group(self._elements(text, ")", depth))
        if first == "!" and not text[1:].strip()[:1].isdigit():
            register = self.read(text[1:].strip(), depth=depth + 1)
            if isinstance(register, Register):
                return Negated(register)
            msg = "a predicate after `!`"
            raise UnexpectedError(msg)
        if first in "_$%" or first.isalpha():
            return self._name(text, depth)
        if not text:
            msg = "an operand"
            raise UnexpectedError(msg)
        return constant(text)

    def _elements(self, text: str, closing: str, depth: int) -> tuple[Operand, ...]:
        if not text.endswith(closing):
            msg = f"`{closing}`"
            raise UnexpectedError(msg)
        inner = text[1:-1].strip()
        return tuple(self.read(part, depth=depth + 1) for part in split(inner)) if inner else ()

    def _name(self, text: str, depth: int) -> Operand:
        found = self.known(text)
        if found is not None:
            return found
        if "|" in text:
            left, _, right = text.partition("|")
            return Pair(self.read(left.strip(), depth=depth + 1), self.read(right.strip(), depth=depth + 1))
        base, plus, rest = text.partition("+")
        if not plus:
            base, plus, rest = text.partition("-")
        symbol = self.known(base.strip()) if plus else None
        if isinstance(symbol, Symbol):
            return Symbol(symbol.name, symbol.offset + _offset(plus, rest))
        if text.startswith("WARP_SZ"):
            return constant(text)
        msg = "a name that is declared" if _NAME.fullmatch(text) else "an operand"
        raise UnexpectedError(msg)

    def known(self, name: str) -> Operand | None:
        """What a name stands for; one that nothing was declared for is a label, a function, or none."""
        if name == "_":
            return _SINK
        found = self.named(name)
        if found is not None:
            return found
        if name.startswith("%"):
            return Special(name[1:]) if is_special(name[1:]) else None
        if name == "WARP_SZ":
            return Immediate(32)
        return Symbol(name) if _NAME.fullmatch(name) else None

    def _address(self, text: str, depth: int) -> Address:
        match = _ADDRESS.fullmatch(text)
        if match is not None:
            name, sign, rest = match.groups()
            return _addressed(self._base(name), _offset(sign, rest) if sign else 0)
        if not text.endswith("]"):
            msg = "`]`"
            raise UnexpectedError(msg)
        first, *others = split(text[1:-1])
        more = tuple(self.read(part, depth=depth + 1) for part in others)
        name_match = _NAME.match(first)
        if name_match is None:
            return Address(constant(first), 0, more)
        name, rest = name_match[0], first[name_match.end() :].strip()
        offset = 0
        if rest:
            if rest[0] not in "+-":
                msg = "`+`, an offset, or `]`"
                raise UnexpectedError(msg)
            offset = _offset(rest[0], rest[1:])
        base = _addressed(self._base(name), offset)
        return Address(base.base, base.offset, more)

    def _base(self, name: str) -> Operand:
        found = self.known(name)
        if found is None:
            msg = f"`{name}` to be declared"
            raise UnexpectedError(msg)
        return found


def _addressed(base: Operand, offset: int) -> Address:
    if isinstance(base, (Register, Symbol, Immediate)):
        return Address(base, offset)
    msg = "a register, a variable or a constant in brackets"
    raise UnexpectedError(msg)


def _offset(sign: str, text: str) -> int:
    text = text.strip().replace(" ", "")
    bits = integer(text) if text.lstrip("-").isalnum() and text.lstrip("-")[:1].isdigit() else constant(text).bits
    value = bits - (1 << 64) if bits >> 63 else bits
    return -value if sign == "-" else value
