"""Floating point of all widths (PTX ISA, sections 9.7.3 to 9.7.5)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from exact_values import FORMATS, decode, encode, square_root

from ptx_meanings.forms import ANY_NAN, HALVES, Form, Meaning, Near

if TYPE_CHECKING:
    from collections.abc import Callable


def _sum(form: Form, a: float, b: float, name: str) -> int | str:
    total = a + b
    if not math.isfinite(a) or not math.isfinite(b):
        return form.result(total, name)
    exact = Fraction(a) + Fraction(b)
    signs = math.copysign(1, a) < 0, math.copysign(1, b) < 0
    return form.result(exact, name, negative=signs[0] if signs[0] == signs[1] else form.rnd == "rm")


def _product(form: Form, a: float, b: float, name: str) -> int | str:
    if not math.isfinite(a) or not math.isfinite(b):
        return form.result(a * b, name)
    return form.result(Fraction(a) * Fraction(b), name, negative=math.copysign(1, a) != math.copysign(1, b))


def _fused(form: Form, a: float, b: float, c: float, name: str) -> int | str:
    if not all(map(math.isfinite, (a, b, c))):
        special = a * b if not (math.isfinite(a) and math.isfinite(b)) else 0.0
        return form.result(special + c, name)
    product = Fraction(a) * Fraction(b)
    signs = math.copysign(1, a) != math.copysign(1, b), math.copysign(1, c) < 0
    exact = product + Fraction(c)
    return form.result(exact, name, negative=signs[0] if signs[0] == signs[1] else form.rnd == "rm")


def _ratio(form: Form, a: float, b: float, name: str) -> int | str:
    negative = math.copysign(1, a) != math.copysign(1, b)
    signed = -1.0 if negative else 1.0
    if math.isnan(a) or math.isnan(b) or (a == 0 and b == 0) or (math.isinf(a) and math.isinf(b)):
        return form.result(math.nan, name)
    if math.isinf(a) or b == 0:
        return form.result(signed * math.inf, name)
    if math.isinf(b):
        return form.result(signed * 0.0, name)
    return form.result(Fraction(a) / Fraction(b), name, negative=negative)


def _root(form: Form, a: float, name: str) -> int | str:
    if math.isnan(a) or a < 0:
        return form.result(math.nan, name)
    if a == 0 or math.isinf(a):
        return form.result(a, name)
    return form.result(square_root(Fraction(a)), name)


def _floats(meaning: Callable[..., int | str]) -> Meaning:
    """Operands with .ftz, and the type of the result."""

    def found(form: Form, values: dict) -> dict:
        name = form.types["d"]
        operands = [form.flushed(value, form.types[each]) for each, value in values.items()]
        return {"d": meaning(form, *operands, name)}

    return found


def _minus(form: Form, a: float, b: float, name: str) -> int | str:
    return _sum(form, a, -b, name)


def _sign(change: Callable[[int, int], int]) -> Meaning:
    """`neg` and `abs` of floats; the halves come as bits."""

    def found(form: Form, values: dict) -> dict:
        name = form.words[-1]
        halves = 2 if name.endswith("x2") else 1
        name = HALVES.get(name, name)
        shown = FORMATS[name]
        width = shown.sign.bit_length()
        result: list[int | str] = []
        for index in range(halves):
            value = values["a"]
            bits = value >> width * index & (2 * shown.sign - 1) if isinstance(value, int) else encode(value, name)
            number = decode(bits, name)
            bits = encode(form.flushed(number, name), name)
            result.append(ANY_NAN if math.isnan(number) else change(bits, shown.sign))
        return {"d": result[0] if halves == 1 else tuple(result)}

    return found


def _extreme(sign: int) -> Callable[..., int | str]:
    def of_two(form: Form, a: float, b: float) -> float:
        if math.isnan(a) or math.isnan(b):
            both = math.isnan(a) and math.isnan(b)
            return math.nan if form.has("NaN") or both else b if math.isnan(a) else a
        key = [(sign * value, sign * math.copysign(1, value)) for value in (a, b)]
        return a if key[0] < key[1] else b

    def found(form: Form, *operands_and_name: object) -> int | str:
        *operands, name = operands_and_name
        values: list[float] = list(operands)  # type: ignore[arg-type]
        signs = [math.copysign(1, value) < 0 for value in values]
        if form.has("abs"):
            values = list(map(abs, values))
        least = values[0]
        for value in values[1:]:
            least = of_two(form, least, value)
        if form.has("xorsign") and not math.isnan(least):
            least = math.copysign(least, -1.0 if signs[0] != signs[1] else 1.0)
        return form.result(least, str(name))

    return found


def _near(value: Callable[[float], float], **bounds: tuple[float, float]) -> Meaning:
    """An approximation: (relative, absolute) by the type."""

    def found(form: Form, values: dict) -> dict:
        name = form.types["d"]
        a = form.flushed(values["a"], name)
        relative, absolute = bounds[name]
        wanted = value(a)
        if name != "f64" and math.isfinite(wanted):
            biggest = decode(FORMATS[name].most, name)
            wanted = math.copysign(math.inf, wanted) if abs(wanted) > biggest * (1 + 2.0**-26) else wanted
        return {"d": Near(form.flushed(wanted, name), name, relative, absolute)}

    return found


def _exp2(a: float) -> float:
    if math.isnan(a) or a == math.inf:
        return a
    return 0.0 if a < -1080 else math.inf if a > 1023 else 2.0**a


def _log2(a: float) -> float:
    return -math.inf if a == 0 else math.nan if not a >= 0 else a if math.isinf(a) else math.log2(a)


def _angle(of: Callable[[float], float]) -> Callable[[float], float]:
    return lambda a: of(a) if math.isfinite(a) else math.nan


def _reciprocal(a: float) -> float:
    return math.copysign(math.inf, a) if a == 0 else 1.0 / a


def _reciprocal_root(a: float) -> float:
    return math.copysign(math.inf, a) if a == 0 else math.nan if not a > 0 else 1.0 / math.sqrt(a)


def _gross(of: Callable[[float], float]) -> Meaning:
    """rcp and rsqrt of the upper word of an f64; subnormal ones are zeros."""

    def found(_: Form, values: dict) -> dict:
        bits = encode(values["a"], "f64") & ~0xFFFFFFFF
        a = decode(bits, "f64")
        if math.isnan(values["a"]) or (of is _reciprocal_root and a < 0 and abs(a) >= 2.0**-1022):
            return {"d": 0x7FFFFFFF00000000}
        wanted = of(math.copysign(0.0, a) if abs(a) < 2.0**-1022 else a)
        return {"d": Near(math.copysign(0.0, wanted) if abs(wanted) < 2.0**-1022 else wanted, "f64", 2.0**-19)}

    return found


def _rcp(form: Form, values: dict) -> dict:
    if form.has("approx"):
        if form.types["d"] == "f64":
            return _gross(_reciprocal)(form, values)
        return _near(_reciprocal, f32=(2.0**-23, 0.0))(form, values)
    return _floats(lambda form, a, name: _ratio(form, 1.0, a, name))(form, values)


def _sqrt(form: Form, values: dict) -> dict:
    if form.has("approx"):
        return _near(lambda a: math.sqrt(a) if a >= 0 else math.nan, f32=(2.0**-23, 0.0))(form, values)
    return _floats(_root)(form, values)


def _rsqrt(form: Form, values: dict) -> dict:
    if form.has("ftz") and form.types["d"] == "f64":
        return _gross(_reciprocal_root)(form, values)
    return _near(_reciprocal_root, f32=(2.0**-22.9, 0.0), f64=(2.0**-48, 0.0))(form, values)


def _div_float(form: Form, values: dict) -> dict:
    if not form.has("approx") and not form.has("full"):
        return _floats(_ratio)(form, values)
    a, b = (form.flushed(values[name], "f32") for name in "ab")
    if form.has("approx") and 2.0**126 < abs(b) < math.inf:
        wanted = math.nan if math.isinf(a) or math.isnan(a) else math.copysign(0.0, a) * math.copysign(1.0, b)
        return {"d": Near(wanted, "f32")}
    bits = _ratio(Form("div", (), form.types), a, b, "f32")
    assert isinstance(bits, int)
    return {"d": Near(form.flushed(decode(bits, "f32"), "f32"), "f32", 2.0**-22)}


def _copysign(form: Form, values: dict) -> dict:
    value = math.copysign(values["b"], values["a"])
    return {"d": ANY_NAN if math.isnan(value) else encode(value, form.type)}


FLOATS: dict[str, Meaning] = {
    "add": _floats(_sum),
    "sub": _floats(_minus),
    "mul": _floats(_product),
    "mad": _floats(_fused),
    "fma": _floats(_fused),
    "div": _div_float,
    "abs": _sign(lambda bits, sign: bits & ~sign),
    "neg": _sign(lambda bits, sign: bits ^ sign),
    "min": _floats(_extreme(1)),
    "max": _floats(_extreme(-1)),
    "copysign": _copysign,
    "rcp": _rcp,
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "sin": _near(_angle(math.sin), f32=(2.0**-22, 2.0**-20.5)),
    "cos": _near(_angle(math.cos), f32=(2.0**-22, 2.0**-20.5)),
    "lg2": _near(_log2, f32=(2.0**-22, 2.0**-22)),
    "ex2": _near(_exp2, f32=(2.0**-22, 0.0), f16=(2.0**-9.9, 0.0), bf16=(2.0**-7, 0.0)),
    "tanh": _near(math.tanh, f32=(2.0**-11, 0.0), f16=(0.0, 2.0**-10.987), bf16=(0.0, 2.0**-8)),
}
"""By the opcode."""
