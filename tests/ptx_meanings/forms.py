"""A form of an instruction as the tests see it, and values of its types as integers, fractions and floats of Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exact_values import FORMATS, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

Meaning = Callable[["Form", dict[str, Any]], "dict[str, Found]"]
"""What a form makes of the values of its operands, by their names."""

ANY_NAN = "any NaN"


@dataclass(frozen=True)
class Near:
    """A float within `relative` of the value, or within `absolute`."""

    value: float
    type: str
    relative: float = 0.0
    absolute: float = 0.0


Found = int | Near | str | tuple["Found", "Found"]
"""Bits; how near a float has to be; `ANY_NAN`; or one of these for each half."""


def is_near(found: int, wanted: Near) -> bool:
    """Whether the bits are as near as the manual says."""
    value = decode(found, wanted.type)
    if math.isnan(wanted.value):
        return math.isnan(value)
    if math.isinf(wanted.value) or wanted.value == 0:
        return value == wanted.value and math.copysign(1, value) == math.copysign(1, wanted.value)
    form = FORMATS[wanted.type]
    smallest = math.ldexp(1.0, 1 - form.bias - form.digits)
    room = max(abs(wanted.value) * wanted.relative, wanted.absolute, smallest)
    return abs(value - wanted.value) <= room


_WIDTHS = {"pred": 8, "f16x2": 32, "bf16x2": 32, "f32x2": 64, "u16x2": 32, "s16x2": 32}
HALVES = {"f16x2": "f16", "bf16x2": "bf16", "f32x2": "f32", "u16x2": "u16", "s16x2": "s16"}
_LONGER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


def bits_of(name: str) -> int:
    """How many bits a type has; a predicate is a byte."""
    return _WIDTHS.get(name) or int(name.lstrip("bfsu"))


def value_of(bits: int, name: str) -> int | float:
    if name in FORMATS:
        return decode(bits, name)
    if name[0] == "s":
        return bits - (1 << bits_of(name)) if bits >> (bits_of(name) - 1) else bits
    return bits


def wrapped(value: int, name: str) -> int:
    return value & ((1 << bits_of(name)) - 1)


def limits_of(name: str) -> tuple[int, int]:
    bits = int(name[1:])
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if name[0] == "s" else (0, (1 << bits) - 1)


def clamped(value: int, name: str) -> int:
    least, most = limits_of(name)
    return wrapped(min(max(value, least), most), name) if bits_of(name) >= 8 else min(max(value, least), most)


class Form:
    def __init__(self, opcode: str, words: tuple[str, ...], types: Mapping[str, str]) -> None:
        self.opcode, self.words, self.types = opcode, words, types
        self.type = types.get("a") or types["d"]

    def has(self, word: str) -> bool:
        return word in self.words

    def one_of(self, *words: str) -> str | None:
        return next((word for word in words if word in self.words), None)

    @property
    def rnd(self) -> str:
        return self.one_of("rn", "rz", "rm", "rp", "rna") or "rn"

    @property
    def floating(self) -> bool:
        return self.types["d"] in FORMATS

    def flushed(self, value: float, name: str) -> float:
        """An operand of .ftz."""
        form = FORMATS[name]
        small = name != "f64" and abs(value) < math.ldexp(1.0, 1 - form.bias)
        return math.copysign(0.0, value) if self.has("ftz") and small else value

    def result(self, value: Fraction | float, name: str, *, negative: bool = False) -> int | str:
        """Rounded, .ftz, .sat and .relu."""
        form = FORMATS[name]
        bits = encode(value, name, self.rnd, negative=negative, finite=self.has("satfinite"))
        magnitude = bits & (form.sign - 1)
        infinity = form.most + form.infinite
        if magnitude > infinity:
            if self.has("sat"):
                return 0
            return ANY_NAN if name == "f64" else form.nan
        if self.has("ftz") and magnitude < 1 << form.digits:
            bits &= form.sign
        if self.has("sat"):
            bits = 0 if bits & form.sign else min(bits, encode(1.0, name))
        if self.has("relu") and bits & form.sign:
            bits = 0
        return bits


def raw_of(form: Form, values: dict, name: str) -> int | str:
    value, of = values[name], form.types[name]
    if of not in FORMATS:
        return wrapped(value, of)
    return ANY_NAN if math.isnan(value) else encode(value, of)
