"""Sentences about mistakes of kernels, from what the interpreter wrote down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuwheel.testing.ptx.native_types import REPORT_KINDS, RawReport
from gpuwheel.testing.ptx.program import Program
from gpuwheel.testing.ptx.reports import Allocation, Mistake, as_annotations, as_json, merged, mistake_of
from gpuwheel.testing.ptx.syntax import Instruction, Module, Place

INNER = Place(1, 12, 3, "_Z5innerPf", Place(2, 40))
STORE = Instruction("st", ("global", "f32"), (), line=2, place=INNER)
MODULE = Module(
    "8.8", "sm_80", {1: "/proc/self/cwd/csrc/inner.cuh", 2: "csrc/outer.cu"}, text="{\n  st.global.f32 [%rd1], %f1;\n}"
)
PROGRAM = Program("outer", (), b"", (STORE, None), (), (), (), 0)


def _report(kind: str, **fields: Any) -> RawReport:  # noqa: ANN401
    text = fields.pop("text", "").encode()
    block, thread = (1, 0, 0), (33, 0, 0)
    return RawReport(kind=REPORT_KINDS.index(kind), block=block, thread=thread, count=1, text=text, **fields)


def _mistake(kind: str, allocation: Allocation | None = None, **fields: Any) -> Mistake:  # noqa: ANN401
    return mistake_of(_report(kind, **fields), PROGRAM, MODULE, (64, 2, 1), lambda _: allocation)


@pytest.mark.parametrize("kind", REPORT_KINDS)
def test_every_kind_has_a_sentence(kind: str) -> None:
    said = _mistake(kind, address=16, bytes=4, start=0, end=8).what
    assert said[0].islower()
    assert "{" not in said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (101_100, "0 bytes after the end of an allocation of 100 bytes (made by cudaMalloc)"),
        (100_996, "4 bytes before an allocation of 100 bytes (made by cudaMalloc)"),
        (101_098, "2 bytes of them after the end of an allocation of 100 bytes (made by cudaMalloc)"),
    ],
)
def test_how_far_an_access_is_from_the_memory(address: int, said: str) -> None:
    memory = Allocation(101_000, 101_100, "made by cudaMalloc")
    assert _mistake("out-of-bounds", memory, address=address, bytes=4, write=1).what.endswith(said)


def test_memory_that_was_freed_is_named() -> None:
    memory = Allocation(101_000, 101_100, "", "by launch 3")
    assert _mistake("out-of-bounds", memory, address=101_004, bytes=4).what.endswith("which was freed: by launch 3")


def test_a_mistake_says_where_it_is_and_where_that_was_inlined() -> None:
    text = str(_mistake("out-of-bounds", address=1, bytes=4, instruction=0))
    assert "in outer, block (1, 0, 0), thread (33, 0, 0)" in text
    assert "\n  at csrc/inner.cuh:12 (inner(float*))" in text or "\n  at csrc/inner.cuh:12 (_Z5innerPf)" in text
    assert "\n  inlined at csrc/outer.cu:40" in text
    assert "line 2 of the PTX: st.global.f32 [%rd1], %f1;" in text


def test_the_other_thread_of_a_race_is_named_by_its_three_numbers() -> None:
    said = _mistake("shared-race", address=8, bytes=4, other=70, text="wrote").what
    assert (
        said
        == "race: a read of 4 bytes at byte 8 of shared memory, which thread (6, 1, 0) wrote since the last barrier"
    )


def test_lanes_are_told_in_runs() -> None:
    assert "lanes 0 to 3, 8, 16 to 31" in _mistake("absent-lanes", other=0xFFFF010F).what


def test_an_instruction_that_did_it_twice_is_one_mistake() -> None:
    first = _mistake("out-of-bounds", address=1, bytes=4)
    (one, other) = merged(
        [first, _mistake("out-of-bounds", address=99, bytes=4), _mistake("misaligned", address=3, bytes=4)]
    )
    assert (one.count, one.address, other.kind) == (2, 1, "misaligned")


def test_annotations_keep_to_one_line_and_name_the_source() -> None:
    line = as_annotations([_mistake("out-of-bounds", address=1, bytes=4)])
    assert line.startswith("::error file=csrc/inner.cuh,line=12,title=out-of-bounds in outer::out of bounds: a read")
    assert "\n" not in line
    assert "%0A" in line


def test_the_document_has_what_the_text_has() -> None:
    document = json.loads(as_json([_mistake("shared-race", address=8, bytes=4, other=70, text="wrote")]))
    assert document["version"] == 1
    assert document["mistakes"][0]["places"][0] == {
        "file": "csrc/inner.cuh",
        "line": 12,
        "function": document["mistakes"][0]["places"][0]["function"],
    }
