"""`cvt` (PTX ISA, sections 9.7.9.21 and 9.7.9.22)."""

from __future__ import annotations

import math
from fractions import Fraction

from exact_values import FORMATS, decode, encode, integral

from ptx_meanings.forms import ANY_NAN, Form, Meaning, bits_of, clamped, limits_of, wrapped


def _cvt(form: Form, values: dict) -> dict:
    dtype, atype = form.words[-2:]
    if form.words[0] == "pack":
        found = _cvt_pack(form, values)
    elif dtype.endswith(("x2", "x4")) or atype.endswith("x2"):
        found = _packed(form, values, dtype, atype)
    elif dtype == "tf32":
        found = _tf32(form, values["a"])
    elif dtype in FORMATS:
        found = _to_float(form, values["a"], dtype, atype)
    elif atype in FORMATS:
        found = _to_integer(form, form.flushed(values["a"], atype), dtype, atype)
    else:
        found = (clamped if form.has("sat") else wrapped)(values["a"], dtype)
    return {"d": found}


def _irnd(form: Form) -> str | None:
    return form.one_of("rni", "rzi", "rmi", "rpi")


def _tf32(form: Form, a: float) -> int:
    if math.isnan(a):
        return 0x7FFFFFFF
    return encode(max(0.0, a) if form.has("relu") else a, "tf32", form.rnd, finite=form.has("satfinite")) << 13


def _to_integer(form: Form, a: float, dtype: str, atype: str) -> int:
    if math.isnan(a):
        return 1 << (bits_of(dtype) - 1) if atype == "f64" or bits_of(dtype) == 64 else 0
    if math.isinf(a):
        return wrapped(limits_of(dtype)[a > 0], dtype)
    return clamped(integral(a, str(_irnd(form))), dtype)


def _to_float(form: Form, a: float, dtype: str, atype: str) -> int | str:
    """.ftz is that of f32 alone, operand or result."""
    if atype == "f32":
        a = form.flushed(a, atype)
    irnd = _irnd(form)
    if irnd and math.isfinite(a):
        a = math.copysign(float(integral(a, irnd)), a)
    kept = (
        form if dtype == "f32" else Form(form.opcode, tuple(word for word in form.words if word != "ftz"), form.types)
    )
    found = kept.result(Fraction(a) if isinstance(a, int) else a, dtype)
    return ANY_NAN if dtype == atype != "f32" and math.isnan(a) and not form.has("sat") else found


_FIELDS = {"e2m1": 4, "f16": 16, "bf16": 16}


def _packed(form: Form, values: dict, dtype: str, atype: str) -> int | tuple:
    """Several values in one register, the first in the highest place."""
    of, to = atype.removesuffix("x2"), dtype.removesuffix("x2").removesuffix("x4")
    if atype.endswith("x2"):
        width = _FIELDS.get(of, 8)
        numbers = [_unpacked(values["a"] >> shift & ((1 << width) - 1), of) for shift in (width, 0)]
    elif dtype.endswith("x4"):
        numbers = [values[f"a{index}"] for index in range(4)]
    else:
        numbers = [values["a"], values["b"]]
    if form.has("relu"):
        numbers = [number if math.isnan(number) else max(0.0, number) for number in numbers]
    if form.has("rs"):
        codes = [
            _stochastic(number, to, drawn, form)
            for number, drawn in zip(numbers, _drawn(values["e"], to, dtype), strict=True)
        ]
    elif to == "ue8m0":
        codes = [_ue8m0(number, form) for number in numbers]
    else:
        finite = form.has("satfinite")
        codes = [encode(number, to, form.rnd, finite=finite) for number in numbers]
    width = _FIELDS.get(to, 8)
    found = 0
    for code in codes:
        found = found << width | code
    return found


def _unpacked(code: int, of: str) -> float:
    if of == "ue8m0":
        return math.nan if code == 255 else math.ldexp(1.0, code - 127)
    return decode(code & (2 * FORMATS[of].sign - 1), of)


def _ue8m0(value: float, form: Form) -> int:
    if math.isnan(value):
        return 255
    most = 254 if form.has("satfinite") else 255
    if math.isinf(value):
        return most
    magnitude = abs(Fraction(value))
    codes = [code for code in range(255) if Fraction(2) ** (code - 127) <= magnitude]
    low = codes[-1] if codes else 0
    above = magnitude > Fraction(2) ** (low - 127)
    return min(low + (form.has("rp") and above), most)


def _drawn(random: int, to: str, dtype: str) -> list[Fraction]:
    """The random part of a last digit that each value gets."""
    if dtype.endswith("x2"):
        bits = 13 if to == "f16" else 16
        return [Fraction(part & ((1 << bits) - 1), 1 << bits) for part in (random >> 16, random)]
    byte = [random >> 8 * index & 255 for index in range(4)]
    pairs = [byte[3] << 8 | byte[1], byte[2] << 8 | byte[0]] if to == "e2m1" else [random >> 16, random & 0xFFFF]
    found = []
    for pair in pairs:
        found += [Fraction(int(f"{pair:016b}"[::-1], 2), 1 << 16), Fraction(pair, 1 << 16)]
    return found


def _stochastic(value: float, to: str, drawn: Fraction, form: Form) -> int:
    shown = FORMATS[to]
    if not math.isfinite(value) or value == 0:
        return encode(value, to, finite=form.has("satfinite"))
    exponent = max(math.frexp(value)[1] - 1, 1 - shown.bias)
    digit = Fraction(2) ** (exponent - shown.digits)
    total = math.floor(abs(Fraction(value)) / digit + drawn) * digit
    return encode(-total if value < 0 else total, to, negative=value < 0, finite=form.has("satfinite"))


def _cvt_pack(form: Form, values: dict) -> int:
    name = form.words[2]
    bits = int(name[1:])
    mask = (1 << bits) - 1
    pair = (clamped(values["a"], name) & mask) << bits | clamped(values["b"], name) & mask
    return wrapped(pair | values.get("c", 0) << 2 * bits, "b32")


CONVERSIONS: dict[str, Meaning] = {
    "cvt": _cvt,
}
"""By the opcode."""
