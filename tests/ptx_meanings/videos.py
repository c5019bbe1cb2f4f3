"""Video instructions (PTX ISA, section 9.7.18)."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING

from ptx_meanings.forms import Form, clamped, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from ptx_meanings.forms import Meaning

_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "absdiff": lambda a, b: abs(a - b),
    "min": min,
    "max": max,
    "avrg": lambda a, b: (a + b + (a + b >= 0)) >> 1,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _parts(value: int, bits: int, name: str) -> list[int]:
    pieces = [value >> at & ((1 << bits) - 1) for at in range(0, 32, bits)]
    return [piece - (1 << bits) if name == "s32" and piece >> (bits - 1) else piece for piece in pieces]


def _video(form: Form, values: dict) -> dict:
    found = re.fullmatch(r"v([a-z]+)([24]?)", form.opcode)
    assert found is not None
    name, count = found[1], int(found[2] or 1)
    compares = name == "set"
    bits = 32 // count
    types = [word for word in form.words if word in {"u32", "s32"}]
    atype, btype = types[-2:]
    if compares:
        name = str(form.one_of("eq", "ne", "lt", "le", "gt", "ge"))
    pairs = zip(_parts(values["a"], bits, atype), _parts(values["b"], bits, btype), strict=True)
    results = [int(_OPERATIONS[name](a, b)) for a, b in pairs]
    if form.has("sat"):
        results = [_saturated(result, types[0][0], bits) for result in results]
    if count == 1:
        return {"d": _second(form, wrapped(results[0], "u32"), values.get("c", 0), "u32" if compares else types[0])}
    if form.has("add"):
        return {"d": wrapped(sum(results) + values["c"], "u32")}
    return {"d": sum((result & ((1 << bits) - 1)) << bits * place for place, result in enumerate(results))}


def _saturated(value: int, sign: str, bits: int) -> int:
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if sign == "s" else (0, (1 << bits) - 1)
    return min(max(value, least), most)


def _second(form: Form, value: int, c: int, dtype: str) -> int:
    operation = form.one_of("add", "min", "max")
    if operation is None:
        return value
    (left,), (right,) = _parts(value, 32, dtype), _parts(c, 32, dtype)
    return wrapped(_OPERATIONS[operation](left, right), "u32")


def _shifted(form: Form, values: dict) -> dict:
    (a,) = _parts(values["a"], 32, form.words[1])
    places = min(values["b"], 32) if form.has("clamp") else values["b"] & 31
    found = a << places if form.opcode == "vshl" else a >> places
    first = clamped(found, form.words[0]) if form.has("sat") else wrapped(found, "u32")
    return {"d": _second(form, first, values.get("c", 0), form.words[0])}


def _multiplied(form: Form, values: dict) -> dict:
    dtype, atype, btype = form.words[:3]
    (a,), (b,), (c,) = (_parts(values[name], 32, of) for name, of in (("a", atype), ("b", btype), ("c", dtype)))
    total = (a * b + c + form.has("po")) >> (7 if form.has("shr7") else 15 if form.has("shr15") else 0)
    return {"d": clamped(total, dtype) if form.has("sat") else wrapped(total, "u32")}


VIDEOS: dict[str, Meaning] = {
    "vmad": _multiplied,
    **{f"v{name}{count}": _video for name in (*_OPERATIONS, "set") for count in ("", "2", "4")},
    "vshl": _shifted,
    "vshr": _shifted,
}
"""By the opcode."""
