"""Declarations of variables and parameters, and the bytes they begin with (PTX ISA, section 5.4)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from gpuwheel._limits import PTX_INITIAL, PTX_VARIABLE
from gpuwheel.testing.ptx.reading.immediates import constant, encoded
from gpuwheel.testing.ptx.reading.operands import split
from gpuwheel.testing.ptx.reading.unreadable_text import UnexpectedError
from gpuwheel.testing.ptx.syntax import Symbol, Variable, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel._limits import Limit

__all__ = ["SPACES", "parameters", "type_and_size", "variables"]

SPACES = frozenset(("global", "const", "shared", "local", "param", "reg", "tex"))

_POINTER = 8
_OPAQUE = dict.fromkeys(("texref", "samplerref", "surfref"), 8)
_ATTRIBUTE = re.compile(r"\s*\.(?:(align)\s+(\d{1,9})|(attribute)\s*\([^)]*\)|(\w[\w:]*))\s*", re.ASCII)
_DECLARATOR = re.compile(r"([A-Za-z_$%][\w$]*)((?:\s*\[[^\]]*\])*)", re.ASCII)
_DIMENSION = re.compile(r"\[\s*([^\]]*?)\s*\]", re.ASCII)
_DECIMALS = re.compile(r"\{[\s\d,]*\}", re.ASCII)
_OCTAL = re.compile(r"\b0\d", re.ASCII)
_SYMBOL = re.compile(r"(?:(generic)\s*\(\s*)?([A-Za-z_$%][\w$]*)(?(1)\s*\))\s*(?:([+-])\s*(\w+))?", re.ASCII)
_MASKED = re.compile(r"(0[xX][fF]+0*|\d+)\s*\((.*)\)", re.DOTALL | re.ASCII)
_VECTOR = {"v2": 2, "v4": 4, "v8": 8}


def type_and_size(name: str) -> int:
    """The bytes of a type of a variable, opaque ones (`texref`) included.

    Raises:
        UnexpectedError: there is no such type.
    """
    try:
        return _OPAQUE.get(name) or size_of(name)
    except KeyError:
        msg = f"a type in place of `.{name}`"
        raise UnexpectedError(msg) from None


def variables(text: str, *, external: bool = False, suffix: str = "") -> Iterator[Variable]:
    """Those that one statement declares, e.g. `.shared .align 4 .b8 a[16]`, without its semicolon.

    `suffix` is what makes the name one of its own in its function.

    Raises:
        UnexpectedError: it is no declaration of variables, or one is larger than any memory that there is.
    """
    space, align, type_name, lanes, rest = _head(text)
    one = type_and_size(type_name) * lanes
    head, equals, initial = rest.partition("=")
    *others, last = split(head.strip())
    for declarator in others:
        name, dimensions = _declared(declarator)
        yield Variable(space, name + suffix, type_name, _size(one, dimensions), align or one, external=external)
    name, dimensions = _declared(last)
    if not equals:
        yield Variable(space, name + suffix, type_name, _size(one, dimensions), align or one, external=external)
        return
    initial = initial.strip()
    if dimensions and not dimensions[0]:
        dimensions[0] = len(split(initial[1:-1]))
    size = _size(one, dimensions, PTX_INITIAL)
    if lanes > 1:
        dimensions.append(lanes)
    begun, pointers = _initial(initial, type_name, dimensions, size)
    yield Variable(space, name + suffix, type_name, size, align or one, begun, pointers, external)


def parameters(text: str) -> tuple[Variable, ...]:
    """Those of a function, from what stands between its brackets.

    Raises:
        UnexpectedError: one is no declaration.
    """
    parts = split(text.strip()) if text.strip() else []
    return tuple(variable for part in parts for variable in variables(part))


def _declared(text: str) -> tuple[str, list[int]]:
    """A name and its dimensions; 0 is one that is not said."""
    match = _DECLARATOR.fullmatch(text)
    if match is None:
        msg = "the name of a variable"
        raise UnexpectedError(msg)
    name, brackets = match.groups()
    return name, [constant(each).bits if each else 0 for each in _DIMENSION.findall(brackets)]


def _size(one: int, dimensions: list[int], limit: Limit = PTX_VARIABLE) -> int:
    size = one * math.prod(dimensions)
    if size > limit.value:
        msg = f"a smaller variable ({limit.passed(f'{size:,} bytes')})"
        raise UnexpectedError(msg)
    return size


def _head(text: str) -> tuple[str, int, str, int, str]:
    space, align, type_name, lanes, at, pointer = "", 0, "", 1, 0, False
    while match := _ATTRIBUTE.match(text, at):
        at = match.end()
        align_word, bytes_text, _, word = match.groups()
        if align_word:
            align = align if pointer else int(bytes_text)
        elif word == "ptr":
            pointer = True
        elif word in SPACES:
            space = space or word
        elif word in _VECTOR:
            lanes = _VECTOR[word]
        elif word:
            type_name = word
    if not space or not type_name:
        msg = "a state space and a type"
        raise UnexpectedError(msg)
    return space, align, type_name, lanes, text[at:]


def _initial(
    text: str, type_name: str, dimensions: list[int], size: int
) -> tuple[bytes, tuple[tuple[int, Symbol], ...]]:
    one = type_and_size(type_name)
    if (
        len(dimensions) <= 1
        and type_name not in {"f32", "f64"}
        and _DECIMALS.fullmatch(text)
        and not _OCTAL.search(text)
    ):
        return _filled(_numbers(text[1:-1].strip(), one), size), ()
    data = bytearray(size)
    pointers: list[tuple[int, Symbol]] = []
    masked: dict[int, tuple[str, int]] = {}
    for offset, value in _placed(text, dimensions, one, 0):
        if offset + one > size:
            msg = f"at most {size} bytes"
            raise UnexpectedError(msg)
        symbol = _SYMBOL.fullmatch(value)
        mask = _MASKED.fullmatch(value)
        if mask is not None:
            masked[offset] = mask[2].strip(), constant(mask[1]).bits
        elif symbol is not None and symbol[2] != "WARP_SZ":
            if one != _POINTER:
                msg = f"an address in a variable of {_POINTER} bytes"
                raise UnexpectedError(msg)
            pointers.append((offset, _symbol(value)))
        else:
            data[offset : offset + one] = encoded(constant(value), type_name, one)
    return bytes(data), (*pointers, *_assembled(masked, one))


def _numbers(text: str, one: int) -> bytes:
    try:
        values = [int(part) for part in text.split(",")] if text else []
        return bytes(values) if one == 1 else b"".join([value.to_bytes(8, "little")[:one] for value in values])
    except (ValueError, OverflowError):
        msg = "numbers of the variable's type between commas"
        raise UnexpectedError(msg) from None


def _filled(data: bytes, size: int) -> bytes:
    if len(data) > size:
        msg = f"at most {size} bytes"
        raise UnexpectedError(msg)
    return data + bytes(size - len(data))


def _placed(text: str, dimensions: list[int], one: int, offset: int) -> Iterator[tuple[int, str]]:
    """Each value, and where it goes: a row in braces of its own begins where rows begin."""
    if not text.startswith("{"):
        yield offset, text
        return
    inner = text[1:-1].strip()
    if not text.endswith("}") or not dimensions:
        msg = "a value" if text.endswith("}") else "`}`"
        raise UnexpectedError(msg)
    stride = one * math.prod(dimensions[1:])
    at = offset
    for part in split(inner) if inner else []:
        if part.startswith("{"):
            yield from _placed(part, dimensions[1:], one, at)
            at += stride
        else:
            yield at, part
            at += one


def _symbol(text: str) -> Symbol:
    match = _SYMBOL.fullmatch(text)
    if match is None:
        msg = "a constant or the address of a symbol"
        raise UnexpectedError(msg)
    _, name, sign, number = match.groups()
    offset = constant(number).bits if number else 0
    return Symbol(name, -offset if sign == "-" else offset)


def _assembled(masked: dict[int, tuple[str, int]], one: int) -> Iterator[tuple[int, Symbol]]:
    """Addresses that are written piece by piece: `0xFF(a), 0xFF00(a)`, and so on, eight bytes in their order."""
    pieces = sorted(masked.items())
    count = _POINTER // one
    full = (1 << 8 * one) - 1
    for first in range(0, len(pieces), count):
        group = pieces[first : first + count]
        start, (text, _) = group[0]
        for index, (offset, (other, mask)) in enumerate(group):
            if other != text or offset != start + index * one or mask != full << 8 * one * index or len(group) != count:
                msg = "all the bytes of an address, in their order"
                raise UnexpectedError(msg)
        yield start, _symbol(text)
