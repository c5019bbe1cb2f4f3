"""What each form of an instruction has to give, by Python's integers and fractions: written from the manual alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exact_values import FORMATS

from ptx_meanings.comparisons import COMPARISONS
from ptx_meanings.conversions import CONVERSIONS
from ptx_meanings.floats import FLOATS
from ptx_meanings.forms import ANY_NAN, HALVES, Form, Near, bits_of, is_near, value_of
from ptx_meanings.integers import INTEGERS, with_carry
from ptx_meanings.videos import VIDEOS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_meanings.forms import Found

__all__ = ["ANY_NAN", "Near", "bits_of", "expected", "is_near"]


def expected(
    opcode: str, words: tuple[str, ...], types: Mapping[str, str], operands: Mapping[str, int]
) -> dict[str, Found]:
    """The results of an instruction, by their names: bits, how near they have to be, or those of the two halves.

    Args:
        opcode: e.g. `add`.
        words: its modifiers.
        types: of every operand, by its name in the table.
        operands: the bits of those that are read.
    """
    if any(of in HALVES for of in types.values()):
        return _of_halves(opcode, words, types, operands)
    form = Form(opcode, words, types)
    values = {name: value_of(bits, types[name]) for name, bits in operands.items()}
    if "cc" in types:
        return with_carry(form, values)
    own = FLOATS if any(word in FORMATS or word in HALVES for word in words) else INTEGERS
    return (own | COMPARISONS | CONVERSIONS | VIDEOS)[opcode](form, values)


def _of_halves(
    opcode: str, words: tuple[str, ...], types: Mapping[str, str], operands: Mapping[str, int]
) -> dict[str, Found]:
    inner = {name: HALVES.get(of, of) for name, of in types.items()}
    width = bits_of(next(inner[name] for name, of in types.items() if of in HALVES))
    of_half = tuple(HALVES.get(word, word) for word in words)
    low, high = (
        {name: bits >> shift & ((1 << width) - 1) if types[name] in HALVES else bits for name, bits in operands.items()}
        for shift in (0, width)
    )
    first, second = (expected(opcode, of_half, inner, half) for half in (low, high))
    return {name: (first[name], second[name]) for name in first}
