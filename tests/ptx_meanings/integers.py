"""Integers and bits (PTX ISA, sections 9.7.1, 9.7.2, 9.7.8 and 9.7.9.7)."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ptx_meanings.forms import Form, Meaning, bits_of, clamped, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable


def _integer(meaning: Callable[..., int]) -> Meaning:
    def found(form: Form, values: dict) -> dict:
        return {"d": wrapped(meaning(form, *values.values()), form.types["d"])}

    return found


def _quotient(_: Form, a: int, b: int) -> int:
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _part(form: Form, product: int, bits: int) -> int:
    return product >> bits if form.has("hi") else product


def _mad_integer(form: Form, a: int, b: int, c: int) -> int:
    total = _part(form, a * b, bits_of(form.type)) + c
    return clamped(total, "s32") if form.has("sat") else total


def _low24(value: int, name: str) -> int:
    value &= 0xFFFFFF
    return value - (1 << 24) if name == "s32" and value >> 23 else value


def _mad24(form: Form, a: int, b: int, c: int = 0) -> int:
    product = _low24(a, form.type) * _low24(b, form.type)
    if not form.has("hi"):
        return product + c
    high = wrapped(product >> 16, "u32")
    if not form.has("sat"):
        return high + c
    return clamped((high ^ 0x80000000) - 0x80000000 + c, "s32")


def _extreme_integer(choose: Callable) -> Callable[..., int]:
    return lambda form, a, b: max(choose(a, b), 0) if form.has("relu") else choose(a, b)


def _parts(value: int, count: int, bits: int, name: str) -> list[int]:
    pieces = [value >> (bits * index) & ((1 << bits) - 1) for index in range(count)]
    return [piece - (1 << bits) if name == "s32" and piece >> (bits - 1) else piece for piece in pieces]


def _dp4a(form: Form, a: int, b: int, c: int) -> int:
    atype, btype = form.words[-2:]
    return c + sum(map(operator.mul, _parts(a, 4, 8, atype), _parts(b, 4, 8, btype)))


def _dp2a(form: Form, a: int, b: int, c: int) -> int:
    atype, btype = form.words[-2:]
    of_b = _parts(b, 4, 8, btype)
    return c + sum(map(operator.mul, _parts(a, 2, 16, atype), of_b[2:] if form.has("hi") else of_b[:2]))


def with_carry(form: Form, values: dict) -> dict:
    """`add`, `sub` and `mad` with .cc, and those that take the carry in."""
    name = "u" + form.type[1:]
    a, b = values["a"], values["b"]
    carry = values["cc"] if form.opcode.endswith("c") else 0
    if form.opcode.startswith("mad"):
        a, b = _part(form, a * b, bits_of(name)), values["c"]
    a, b = wrapped(a, name), wrapped(b, name)
    total = a - b - carry if form.opcode.startswith("sub") else a + b + carry
    found = {"d": wrapped(total, name)}
    if form.has("cc"):
        found["cc"] = int(total < 0 or total >> bits_of(name) != 0)
    return found


# ---- bits


def _bfind(form: Form, a: int) -> int:
    magnitude = ~a if a < 0 else a
    place = magnitude.bit_length() - 1
    return bits_of(form.type) - 1 - place if form.has("shiftamt") and place >= 0 else place


def _fns(_: Form, mask: int, base: int, offset: int) -> int:
    if base > 31:
        return -1
    if offset == 0:
        return base if mask >> base & 1 else -1
    places = range(base, 32) if offset > 0 else range(base, -1, -1)
    of_set = [place for place in places if mask >> place & 1]
    return of_set[abs(offset) - 1] if abs(offset) <= len(of_set) else -1


def _bfe(form: Form, a: int, position: int, length: int) -> int:
    msb = bits_of(form.type) - 1
    position, length = position & 255, length & 255
    bit = [a >> index & 1 for index in range(msb + 1)]
    sign = 0 if form.type[0] == "u" or length == 0 else bit[min(position + length - 1, msb)]
    return sum(
        (bit[position + index] if index < length and position + index <= msb else sign) << index
        for index in range(msb + 1)
    )


def _bfi(form: Form, a: int, b: int, position: int, length: int) -> int:
    position, length = position & 255, length & 255
    for index in range(length):
        if position + index <= bits_of(form.type) - 1:
            b = b & ~(1 << (position + index)) | (a >> index & 1) << (position + index)
    return b


def _szext(form: Form, a: int, b: int) -> int:
    if form.has("clamp") and b >= 32:
        return a
    length = b & 31
    low = a & ((1 << length) - 1)
    return low - (1 << length) if length and form.has("s32") and low >> (length - 1) else low


def _bmsk(form: Form, a: int, b: int) -> int:
    if form.has("clamp"):
        if a >= 32:
            return 0
        return sum(1 << index for index in range(a, min(32, a + b)))
    a, b = a & 31, b & 31
    return sum(1 << index for index in range(a, min(32, a + b)))


def _lop3(form: Form, values: dict) -> dict:
    a, b, c, table = (values[name] for name in "abce")
    d = sum((table >> (4 * (a >> i & 1) + 2 * (b >> i & 1) + (c >> i & 1)) & 1) << i for i in range(32))
    if "p" not in form.types:
        return {"d": d}
    return {"d": d, "p": int(d != 0) | values["f"] if form.has("or") else int(d != 0) & values["f"]}


def _shr(_: Form, a: int, b: int) -> int:
    return a >> b


def _shf(form: Form, a: int, b: int, c: int) -> int:
    places = min(c, 32) if form.has("clamp") else c & 31
    both = b << 32 | a
    return (both << places) >> 32 if form.has("l") else both >> places


_BYTES = {  # d.b3 to d.b0, for each selector
    "f4e": ("3210", "4321", "5432", "6543"),
    "b4e": ("5670", "6701", "7012", "0123"),
    "rc8": ("0000", "1111", "2222", "3333"),
    "ecl": ("3210", "3211", "3222", "3333"),
    "ecr": ("0000", "1110", "2210", "3210"),
    "rc16": ("1010", "3232", "1010", "3232"),
}


def _prmt(form: Form, a: int, b: int, c: int) -> int:
    source = [(b << 32 | a) >> 8 * index & 255 for index in range(8)]
    mode = form.one_of(*_BYTES)
    if mode:
        return int.from_bytes(bytes(source[int(place)] for place in _BYTES[mode][c & 3]), "big")
    found = []
    for index in range(4):
        control = c >> 4 * index & 15
        byte = source[control & 7]
        found.append((255 if byte & 128 else 0) if control & 8 else byte)
    return int.from_bytes(bytes(found), "little")


INTEGERS: dict[str, Meaning] = {
    "add": _integer(lambda form, a, b: clamped(a + b, "s32") if form.has("sat") else a + b),
    "sub": _integer(lambda form, a, b: clamped(a - b, "s32") if form.has("sat") else a - b),
    "mul": _integer(lambda form, a, b: _part(form, a * b, bits_of(form.type))),
    "mad": _integer(_mad_integer),
    "mul24": _integer(_mad24),
    "mad24": _integer(_mad24),
    "sad": _integer(lambda _, a, b, c: c + abs(a - b)),
    "div": _integer(_quotient),
    "rem": _integer(lambda form, a, b: a if b == 0 else a - b * _quotient(form, a, b)),
    "abs": _integer(lambda _, a: abs(a)),
    "neg": _integer(lambda _, a: -a),
    "min": _integer(_extreme_integer(min)),
    "max": _integer(_extreme_integer(max)),
    "popc": _integer(lambda _, a: a.bit_count()),
    "clz": _integer(lambda form, a: bits_of(form.type) - a.bit_length()),
    "bfind": _integer(_bfind),
    "fns": _integer(_fns),
    "brev": _integer(lambda form, a: int(f"{a:0{bits_of(form.type)}b}"[::-1], 2)),
    "bfe": _integer(_bfe),
    "bfi": _integer(_bfi),
    "szext": _integer(_szext),
    "bmsk": _integer(_bmsk),
    "dp4a": _integer(_dp4a),
    "dp2a": _integer(_dp2a),
    "and": _integer(lambda _, a, b: a & b),
    "or": _integer(lambda _, a, b: a | b),
    "xor": _integer(lambda _, a, b: a ^ b),
    "not": _integer(lambda form, a: 1 - a if form.type == "pred" else ~a),
    "cnot": _integer(lambda _, a: int(a == 0)),
    "lop3": _lop3,
    "shf": _integer(_shf),
    "shl": _integer(lambda _, a, b: a << min(b, 64)),
    "shr": _integer(_shr),
    "prmt": _integer(_prmt),
}
"""By the opcode; with a carry flag `with_carry`."""
