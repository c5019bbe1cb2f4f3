"""Constant expressions of PTX: `-4`, `0x10U`, `0f3F800000`, `(1+2)*4` (PTX ISA, sections 4.5 and 4.6)."""

from __future__ import annotations

import math
import operator
import re
import struct
from typing import TYPE_CHECKING

from gpuwheel._limits import PTX_DEPTH
from gpuwheel.testing.ptx.reading.unreadable_text import UnexpectedError
from gpuwheel.testing.ptx.syntax import Immediate

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["constant", "encoded", "integer"]

_MASK = (1 << 64) - 1
_F32_SIGN, _F64_SIGN = 1 << 31, 1 << 63
_TOKEN = re.compile(
    r"\s*(?:(0[fF][0-9A-Fa-f]{8}|0[dD][0-9A-Fa-f]{16})\b|(\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)"
    r"|(0[xX][0-9A-Fa-f]+|0[bB][01]+|\d+)(U)?\b|(WARP_SZ)\b|(\.s64|\.u64)\b|(<<|>>|<=|>=|==|!=|&&|\|\||\S))",
    re.ASCII,
)
_PLAIN = re.compile(r"-?(?:0[xX][0-9A-Fa-f]{1,16}|0|[1-9]\d{0,19})U?", re.ASCII)
_F32_LENGTH = len("0f00000000")


def _divided(a: int, b: int) -> int:
    if b == 0:
        msg = "a divisor that is not zero"
        raise UnexpectedError(msg)
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _remainder(a: int, b: int) -> int:
    return a - b * _divided(a, b)


def _shifted(a: int, by: int) -> int:
    return a << by if 0 <= by < 64 else 0  # noqa: PLR2004 (bits of an integer)


# From the weakest to the strongest, as in C.
_BINARY: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"||": lambda a, b: int(bool(a or b))},
    {"&&": lambda a, b: int(bool(a and b))},
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge},
    {"<<": _shifted, ">>": lambda a, b: a >> min(b, 64) if b >= 0 else 0},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divided, "%": _remainder},
)


class _Expression:
    """One expression, read from left to right. Integers have 64 bits and a sign."""

    def __init__(self, text: str) -> None:
        self.tokens = [match.groups() for match in _TOKEN.finditer(text)]
        self.at = 0
        self.depth = 0

    def value(self) -> Immediate:
        found = self.chosen()
        if self.at != len(self.tokens):
            msg = "an operator"
            raise UnexpectedError(msg)
        return found

    def sign(self) -> str | None:
        found: str | None = self.tokens[self.at][6] if self.at < len(self.tokens) else None
        return found

    def take(self, text: str) -> None:
        if self.sign() != text:
            msg = f"`{text}`"
            raise UnexpectedError(msg)
        self.at += 1

    def chosen(self) -> Immediate:
        self.depth += 1
        if self.depth > PTX_DEPTH.value:
            msg = f"fewer brackets ({PTX_DEPTH.passed('more')})"
            raise UnexpectedError(msg)
        found = self.combined(0)
        if self.sign() == "?":
            self.at += 1
            first = self.chosen()
            self.take(":")
            second = self.chosen()
            found = first if found.bits else second
        self.depth -= 1
        return found

    def combined(self, level: int) -> Immediate:
        if level == len(_BINARY):
            return self.single()
        left = self.combined(level + 1)
        while (sign := self.sign()) in _BINARY[level]:
            self.at += 1
            right = self.combined(level + 1)
            if left.kind != "integer" or right.kind != "integer":
                msg = "integers on both sides"
                raise UnexpectedError(msg)
            result = _BINARY[level][sign or ""](_signed(left.bits), _signed(right.bits))
            left = Immediate(int(result) & _MASK)
        return left

    def single(self) -> Immediate:
        if self.at >= len(self.tokens):
            msg = "a constant"
            raise UnexpectedError(msg)
        hexadecimal, decimal, whole, _, warp, _, sign = self.tokens[self.at]
        self.at += 1
        if hexadecimal:
            return Immediate(int("0x" + hexadecimal[2:], 0), "f32" if len(hexadecimal) == _F32_LENGTH else "f64")
        if decimal:
            return Immediate(int.from_bytes(struct.pack("<d", float(decimal)), "little"), "f64")
        if whole:
            return Immediate(integer(whole))
        if warp:
            return Immediate(32)
        if sign == "(":
            return self.bracketed()
        if sign in {"-", "+", "~", "!"}:
            self.depth += 1
            if self.depth > PTX_DEPTH.value:
                msg = f"fewer signs ({PTX_DEPTH.passed('more')})"
                raise UnexpectedError(msg)
            found = _changed(sign, self.single())
            self.depth -= 1
            return found
        msg = "a constant"
        raise UnexpectedError(msg)

    def bracketed(self) -> Immediate:
        cast = self.tokens[self.at][5] if self.at < len(self.tokens) else None
        if cast:
            self.at += 1
            self.take(")")
            return self.single()
        found = self.chosen()
        self.take(")")
        return found


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits & _F64_SIGN else bits


def _changed(sign: str, value: Immediate) -> Immediate:
    if value.kind == "integer":
        changes = {"-": -value.bits, "+": value.bits, "~": ~value.bits, "!": int(not value.bits)}
        return Immediate(changes[sign] & _MASK)
    if sign == "-":
        return Immediate(value.bits ^ (_F32_SIGN if value.kind == "f32" else _F64_SIGN), value.kind)
    if sign == "+":
        return value
    msg = "an integer"
    raise UnexpectedError(msg)


def integer(text: str) -> int:
    """The 64 bits of an integer: decimal, `0x10`, `0b10`, octal `010`; `U` after it changes nothing here.

    Raises:
        UnexpectedError: it is none, or larger.
    """
    digits = text.strip().rstrip("U")
    negative = digits.startswith("-")
    digits = digits.lstrip("-") if negative else digits
    is_octal = digits.startswith("0") and digits.isdigit() and digits != "0"
    try:
        # Longer than 70 digits: not of 64 bits, whatever the base.
        value = int(digits, 8 if is_octal else 0) if len(digits) <= 70 else 1 << 64  # noqa: PLR2004
    except ValueError:
        value = 1 << 64
    if value > _MASK:
        msg = "an integer of 64 bits"
        raise UnexpectedError(msg)
    return -value & _MASK if negative else value


def constant(text: str) -> Immediate:
    """The value of an expression of constants.

    Raises:
        UnexpectedError: it is none.
    """
    if _PLAIN.fullmatch(text):
        return Immediate(integer(text))
    return _Expression(text).value()


def encoded(value: Immediate, type_name: str, size: int) -> bytes:
    """A constant as `size` bytes of a variable of that type, little endian.

    Raises:
        UnexpectedError: a fraction, where integers are.
    """
    if value.kind == "integer" and type_name not in {"f32", "f64"}:
        return _signed(value.bits).to_bytes(max(size, 8), "little", signed=True)[:size]
    own = 4 if value.kind == "f32" else 8
    if value.kind != "integer" and size == own:
        return value.bits.to_bytes(size, "little")
    if type_name not in {"f32", "f64"}:
        msg = "an integer"
        raise UnexpectedError(msg)
    if value.kind == "integer":
        number = float(_signed(value.bits))
    else:
        (number,) = struct.unpack("<f" if own == 4 else "<d", value.bits.to_bytes(own, "little"))  # noqa: PLR2004
    try:
        return struct.pack("<f" if type_name == "f32" else "<d", number)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, number))
