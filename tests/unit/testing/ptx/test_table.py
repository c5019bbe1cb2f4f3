"""Laws of the table of meanings: every row is tested, reached, and whole."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules

import pytest
from form_cases import ROOMS, Case, cases_of, module_of, rows_in

from gpuwheel.testing.ptx import forms, reading
from gpuwheel.testing.ptx.form_rows import Row
from gpuwheel.testing.ptx.handlers import form_of
from gpuwheel.testing.ptx.syntax import Instruction


def _instructions(cases: list[Case]) -> list[Instruction]:
    """The instruction that each case is about, as it is read from its kernel."""
    module = reading.read_module(module_of(cases))
    found = []
    for number, case in enumerate(cases):
        body = reading.function(module, f"k{number}").body
        found.append(
            next(each for each in body if isinstance(each, Instruction) and each.name == case.name and _own(each))
        )
    return found


def _own(instruction: Instruction) -> bool:
    return "%v_" in repr(instruction.operands) and "%address" not in repr(instruction.operands)


def test_every_room_of_what_a_lane_computes_has_tests_of_values() -> None:
    rooms = {found.name for found in iter_modules(forms.__path__)} - {"form_rows"}
    alone = {
        room
        for room in rooms
        if not any(
            row.native or any(role.address for role in row.roles) or "w->" in row.meaning or "(w" in row.meaning
            for row in import_module(f"{forms.__name__}.{room}").ROWS
        )
    }
    assert alone - set(ROOMS) <= {"spaces", "warps"}
    assert set(ROOMS) <= rooms


@pytest.mark.parametrize("room", ROOMS)
def test_tests_of_values_have_every_member_of_every_set(room: str) -> None:
    for row in rows_in(room):
        words = [set(case.words) for case in cases_of(row)]
        for name, optional in row.modifiers:
            for member in row.sets.get(name, (name,)):
                assert any(member in each for each in words), (row.syntax, member)
            if optional:
                assert any(not each & set(row.sets.get(name, (name,))) for each in words), (row.syntax, name)


@pytest.mark.parametrize("room", ROOMS)
def test_no_row_hides_another(room: str) -> None:
    cases = [case for row in rows_in(room) for case in cases_of(row)]
    for case, instruction in zip(cases, _instructions(cases), strict=True):
        found = form_of(instruction)
        assert found is not None, case.name
        assert found[0].row is case.row, (case.name, found[0].row.syntax, case.row.syntax)


@pytest.mark.parametrize("room", ROOMS)
def test_every_row_names_its_section_and_writes_its_results(room: str) -> None:
    for row in rows_in(room):
        assert isinstance(row, Row)
        assert re.fullmatch(r"9\.7\.\d+\.\d+", row.section), row.syntax
        results = [role.name for role in row.roles if re.fullmatch(r"[dpq]", role.name)]
        for result in results:
            assert re.search(rf"\b{result}\d? = ", row.meaning), (row.syntax, result)


def test_a_bound_is_said_of_every_approximation_of_f32_and_f64() -> None:
    approximations = [row for row in rows_in("floats") if {"approx", "full"} & {name for name, _ in row.modifiers}]
    assert len(approximations) > 10
    assert all(row.bound for row in approximations)


@pytest.mark.parametrize(
    ("written", "of_the_manual"),
    [
        ("min.s32.relu", "min.relu.s32"),
        ("cvt.rn.satfinite.relu.e4m3x2.f32", "cvt.rn.relu.satfinite.e4m3x2.f32"),
        ("atom.add.relaxed.gpu.u32", "atom.relaxed.gpu.add.u32"),
        ("ld.global.acquire.gpu.b32", "ld.acquire.gpu.global.b32"),
    ],
)
def test_modifiers_may_stand_where_compilers_write_them(written: str, of_the_manual: str) -> None:
    first, second = (
        [(row.syntax, row.match(tuple(name.split(".")[1:]))) for row in forms.rows_of(name.partition(".")[0])]
        for name in (written, of_the_manual)
    )
    assert any(found for _, found in first)
    assert first == second


def test_types_are_not_told_apart_by_their_order_alone() -> None:
    rows = [row for row in forms.rows_of("cvt") if row.match(("rn", "relu", "bf16", "f16"))]
    assert rows == []
    assert all("f16.bf16" not in row.syntax for row in forms.rows_of("cvt") if row.match(("rn", "bf16", "f16")))
