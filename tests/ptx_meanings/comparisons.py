"""Comparison and selection (PTX ISA, sections 9.7.6 and 9.7.7), properties and moves."""

from __future__ import annotations

import math
import operator

from exact_values import FORMATS, decode, encode

from ptx_meanings.forms import HALVES, Form, Meaning, bits_of, raw_of

_INTEGER_CMP = {
    "eq": operator.eq,
    "ne": operator.ne,
    **dict.fromkeys(("lt", "lo"), operator.lt),
    **dict.fromkeys(("le", "ls"), operator.le),
    **dict.fromkeys(("gt", "hi"), operator.gt),
    **dict.fromkeys(("ge", "hs"), operator.ge),
}


def _holds(cmp: str, a: float, b: float) -> int:
    unordered = math.isnan(a) or math.isnan(b)
    if cmp in {"num", "nan"}:
        return int(unordered == (cmp == "nan"))
    if unordered:
        return int(cmp.endswith("u"))
    return int(_INTEGER_CMP[cmp.removesuffix("u")](a, b))


def _combined(form: Form, holds: int, values: dict) -> int:
    boolop = form.one_of("and", "or", "xor")
    if boolop is None:
        return holds
    return {"and": operator.and_, "or": operator.or_, "xor": operator.xor}[boolop](holds, values["c"])


def _setp(form: Form, values: dict) -> dict:
    cmp, name = form.words[0], form.words[-1]
    if name in {"f16x2", "bf16x2"}:
        half = HALVES[name]
        pairs = [
            [form.flushed(decode(values[each] >> 16 * index & 0xFFFF, half), half) for each in "ab"] for index in (0, 1)
        ]
        return {each: _combined(form, _holds(cmp, *pair), values) for each, pair in zip("pq", pairs, strict=True)}
    a, b = values["a"], values["b"]
    if name in FORMATS:
        a, b = form.flushed(a, name), form.flushed(b, name)
    holds = _holds(cmp, a, b)
    found = {"p": _combined(form, holds, values)}
    if "q" in form.types:
        found["q"] = _combined(form, 1 - holds, values)
    return found


def _set(form: Form, values: dict) -> dict:
    dtype, name = form.words[-2:]
    both = name in {"f16x2", "bf16x2"}
    found = _setp(Form("setp", form.words, {**form.types, "q": "pred"} if both else form.types), values)
    if both:
        true = {"f16x2": 0x3C00, "bf16x2": 0x3F80}.get(dtype, 0xFFFF)
        return {"d": found["q"] * true << 16 | found["p"] * true}
    return {"d": found["p"] * (encode(1.0, dtype) if dtype in FORMATS else (1 << bits_of(dtype)) - 1)}


def _selp(form: Form, values: dict) -> dict:
    return {"d": raw_of(form, values, "a" if values["c"] else "b")}


def _slct(form: Form, values: dict) -> dict:
    c = values["c"]
    if form.types["c"] == "f32":
        c = form.flushed(c, "f32")
    return {"d": raw_of(form, values, "a" if c >= 0 else "b")}


def _testp(form: Form, values: dict) -> dict:
    a = values["a"]
    least = math.ldexp(1.0, 1 - FORMATS[form.type].bias)
    properties = {
        "finite": math.isfinite(a),
        "infinite": math.isinf(a),
        "number": not math.isnan(a),
        "notanumber": math.isnan(a),
        "normal": a == 0 or (math.isfinite(a) and abs(a) >= least),
        "subnormal": 0 < abs(a) < least,
    }
    return {"p": int(properties[form.words[0]])}


def _mov(form: Form, values: dict) -> dict:
    parts = [name for name in form.types if name[0] == "a" and name != "a"]
    if parts:
        width = bits_of(form.types[parts[0]])
        return {"d": sum(values[name] << width * index for index, name in enumerate(parts))}
    outputs = [name for name in form.types if name[0] == "d" and name != "d"]
    if outputs:
        width = bits_of(form.types[outputs[0]])
        return {name: values["a"] >> width * index & ((1 << width) - 1) for index, name in enumerate(outputs)}
    return {"d": raw_of(form, values, "a")}


COMPARISONS: dict[str, Meaning] = {
    "testp": _testp,
    "setp": _setp,
    "set": _set,
    "selp": _selp,
    "slct": _slct,
    "mov": _mov,
}
"""By the opcode."""
