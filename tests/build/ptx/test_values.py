"""Each form of arithmetic, bits, comparisons and conversions gives the values that the PTX manual says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from exact_values import FORMATS, decode
from form_cases import ROOMS, cases_of, element_bits, inputs_of, module_of, rows_in
from ptx_meanings import ANY_NAN, Near, bits_of, expected, is_near

from gpuwheel.testing.ptx.executor import Configuration, Executor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from form_cases import Case
    from ptx_meanings.forms import Found


@pytest.fixture(scope="module")
def executor() -> Executor:
    return Executor(checks=("basic",))


def _array(values: Sequence[int], of: str) -> np.ndarray:
    width = element_bits(of) // 8
    return np.frombuffer(b"".join(value.to_bytes(width, "little") for value in values), np.uint8).copy()


def _integers(data: np.ndarray, of: str) -> list[int]:
    width = element_bits(of) // 8
    raw = data.tobytes()
    return [int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width)]


def _agrees(found: int, wanted: Found, of: str) -> bool:
    if isinstance(wanted, tuple):
        width = bits_of(of) // 2
        parts = (found & ((1 << width) - 1), found >> width)
        return all(_agrees(part, each, of.removesuffix("x2")) for part, each in zip(parts, wanted, strict=True))
    if isinstance(wanted, Near):
        return is_near(found, wanted)
    if wanted == ANY_NAN:
        return of not in FORMATS or math.isnan(decode(found, of))
    if of == "s8" and isinstance(wanted, int) and wanted & 0x80:  # its register has 16 bits
        return found == wanted | 0xFF00
    return found == wanted


def _launched(executor: Executor, cases: Sequence[Case], rows: Sequence[list[tuple[int, ...]]]) -> list[dict]:
    """The results of each case, by their names, for each of its rows of operands."""
    loaded = executor.load(module_of(cases))
    executor.prepare(loaded, [f"k{number}" for number in range(len(cases))])
    found = []
    for number, (case, values) in enumerate(zip(cases, rows, strict=True)):
        types = case.all_types
        inputs = [_array([row[place] for row in values], types[name]) for place, name in enumerate(case.inputs)]
        outputs = [_array([0] * len(values), types[name]) for name in case.outputs]
        configuration = Configuration((len(values) // 32,), (32,))
        result = executor.launch(loaded, f"k{number}", configuration, [*inputs, *outputs])
        assert (result.code, result.reports) == (0, ()), case.name
        found.append({name: _integers(data, types[name]) for name, data in zip(case.outputs, outputs, strict=True)})
    return found


def _first_fault(case: Case, values: list[tuple[int, ...]], found: dict) -> str | None:
    for place, row in enumerate(values):
        operands = {**dict(zip(case.inputs, row, strict=True)), **dict(case.constants)}
        wanted = expected(case.opcode, case.words, dict(case.types), operands)
        for name in case.outputs:
            if not _agrees(found[name][place], wanted[name], case.all_types[name]):
                given = {name: hex(value) for name, value in operands.items()}
                return f"{case.name} of {given}: {name} is {found[name][place]:#x}, not {wanted[name]}"
    return None


@pytest.mark.compiler
@pytest.mark.parametrize("room", ROOMS)
def test_every_form_gives_the_values_of_the_manual(executor: Executor, room: str) -> None:
    cases = [case for row in rows_in(room) for case in cases_of(row)]
    values = [inputs_of(case, number) for number, case in enumerate(cases)]
    found = _launched(executor, cases, values)
    faults = list(filter(None, map(_first_fault, cases, values, found)))
    assert not faults, "\n".join([f"{len(faults)} of {len(cases)} forms", *faults])
