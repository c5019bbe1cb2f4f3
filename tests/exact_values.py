"""Floating point as Python has it exactly: fractions, and one rounding into a format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["FORMATS", "Format", "decode", "encode", "integral", "square_root"]


@dataclass(frozen=True)
class Format:
    """A binary format: a sign, `exponent` bits, `digits` of mantissa."""

    exponent: int
    digits: int
    most: int
    """The code of the largest finite value."""
    infinite: bool = True
    nan: int = 0

    @property
    def bias(self) -> int:
        return 2 ** (self.exponent - 1) - 1

    @property
    def sign(self) -> int:
        return 1 << (self.exponent + self.digits)


FORMATS = {
    "f64": Format(11, 52, 0x7FEFFFFFFFFFFFFF, nan=0x7FFFFFFFFFFFFFFF),
    "f32": Format(8, 23, 0x7F7FFFFF, nan=0x7FFFFFFF),
    "tf32": Format(8, 10, 0x3FBFF, nan=0x3FFFF),
    "f16": Format(5, 10, 0x7BFF, nan=0x7FFF),
    "bf16": Format(8, 7, 0x7F7F, nan=0x7FFF),
    "e5m2": Format(5, 2, 0x7B, nan=0x7F),
    "e4m3": Format(4, 3, 0x7E, infinite=False, nan=0x7F),
    "e3m2": Format(3, 2, 0x1F, infinite=False, nan=0x1F),
    "e2m3": Format(2, 3, 0x1F, infinite=False, nan=0x1F),
    "e2m1": Format(2, 1, 0x7, infinite=False, nan=0x7),
}


def decode(bits: int, name: str) -> float:
    """A value as the float that Python has, which holds each of them."""
    form = FORMATS[name]
    magnitude = bits & (form.sign - 1)
    sign = -1.0 if bits & form.sign else 1.0
    if magnitude > form.most:
        return sign * math.inf if form.infinite and magnitude == form.most + 1 else math.copysign(math.nan, sign)
    exponent, digits = magnitude >> form.digits, magnitude & ((1 << form.digits) - 1)
    if exponent:
        return math.copysign(math.ldexp(digits + (1 << form.digits), exponent - form.bias - form.digits), sign)
    return math.copysign(math.ldexp(digits, 1 - form.bias - form.digits), sign)


def encode(value: Fraction | float, name: str, rnd: str = "rn", *, negative: bool = False, finite: bool = False) -> int:
    """The bits of a value after one rounding: `rn` (ties to even), `rna` (away), `rz`, `rm`, `rp`.

    `negative` is the sign of an exact zero; with `finite` what is too large becomes the largest (.satfinite).
    """
    form = FORMATS[name]
    if isinstance(value, float):
        if math.isnan(value):
            return form.nan
        negative = math.copysign(1, value) < 0
        if math.isinf(value):
            return (form.sign if negative else 0) | (form.most + (form.infinite and not finite))
        value = Fraction(value)
    if value:
        negative = value < 0
    sign = form.sign if negative else 0
    magnitude = abs(value)
    if not magnitude:
        return sign
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    exponent = max(exponent, 1 - form.bias)
    digits = magnitude / Fraction(2) ** (exponent - form.digits)
    whole = _whole(digits, rnd, negative=negative)
    code = whole + ((exponent + form.bias - 1) << form.digits)
    if code > form.most:
        stays = finite or not form.infinite or rnd in {"rz", "rp" if negative else "rm"}
        code = form.most if stays else form.most + 1
    return sign | code


def _whole(value: Fraction, rnd: str, *, negative: bool) -> int:
    low = value.numerator // value.denominator
    rest = value - low
    half = Fraction(1, 2)
    up = {
        "rn": rest > half or (rest == half and low % 2 == 1),
        "rna": rest >= half,
        "rz": False,
        "rm": negative and rest > 0,
        "rp": not negative and rest > 0,
    }[rnd]
    return low + up


def integral(value: float, irnd: str) -> int:
    """A finite value as an integer: `rni`, `rzi`, `rmi` or `rpi`."""
    return {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}[irnd](Fraction(value))


def square_root(value: Fraction) -> Fraction:
    """A root, or a fraction so near that every rounding to 64 bits and fewer is that of the root."""
    shift = 600
    scaled = value * 4**shift
    whole = math.isqrt(scaled.numerator // scaled.denominator)
    exact = Fraction(whole, 2**shift)
    return exact if exact * exact == value else exact + Fraction(1, 2 ** (shift + 1))
