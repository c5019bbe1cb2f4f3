"""The compiler's log, taken apart. The logs are NVRTC 12.9's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.device.diagnostics import compile_failure, launch_lines, read_log
from gpuwheel.compile.messages import Place

if TYPE_CHECKING:
    from pathlib import Path

LOG = """\
k.cu(1): warning #177-D: variable "y" was declared but never referenced
  __global__ void k(int*x){ int y; }
                                ^

Remark: The warnings can be suppressed with "-diag-suppress <warning-number>"

k.cu(4): error: identifier "foo" is undefined
  foo();
  ^
          detected during instantiation of "int f<N>() [with N=1]" at line 2

1 error detected in the compilation of "k.cu".
ptxas info    : Compiling entry function '_Z1kPi' for 'sm_80'
ptxas info    : Function properties for _Z1kPi
ptxas         .     40 bytes stack frame, 28 bytes spill stores, 36 bytes spill loads
ptxas info    : Used 10 registers, used 1 barriers, 400000 bytes smem, 360 bytes cmem[0]
 ptxas error   : Entry function '_Z1kPi' uses too much shared data (0x61a80 bytes, 0xc000 max)
"""


def test_spills_and_messages() -> None:
    log = read_log(LOG)
    assert log.spills == {"_Z1kPi": 64}
    first, second, third = log.messages
    assert first.startswith('k.cu(4): error: identifier "foo" is undefined\n  foo();\n')
    assert first.endswith("at line 2")
    assert second.startswith(" ptxas error")
    assert third.startswith("k.cu(1): warning #177-D")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("k<<<1, 2>>>(x);\n", [1]),
        ("a;\n  f<int>\n    <<<g, b>>>();\nk<<<1,1>>>();", [3, 4]),
        ("// k<<<1, 2>>>(x);\n/* k<<<\n1>>> */ s = \"<<<\"; c = '<';\n", []),
        ('R"(k<<<1)" "\\"<<<"; // <<<\nk<<<1,1>>>();\n', [2]),
        ('const char* a = "/*"; k<<<1,1>>>(); const char* b = "*/";\n', [1]),
        ("x = a << b;\n", []),
    ],
)
def test_launches_are_found_outside_comments_and_strings(text: str, lines: list[int]) -> None:
    assert launch_lines(text) == lines


def test_a_message_is_shown_once_and_what_is_in_the_project_leads(tmp_path: Path) -> None:
    source = tmp_path / "k.cu"
    source.write_text("__global__ void k() {}\n", encoding="utf-8")
    toolkit, own = "/toolkit/cub.h(9): error: no", "k.cu(1): error: bad"
    place, failed = Place(tmp_path, "group", source="k.cu"), {"sm_75": [toolkit, own], "sm_80": [own]}
    error = compile_failure(place, failed, 2)
    assert error.detail == "k.cu(1): error: bad\n/toolkit/cub.h(9): error: no\n  (only for sm_75)"
    assert error.message == "k.cu:1: bad\n  __global__ void k() {}"
    assert compile_failure(place, failed, 3).message.startswith("k.cu:1: bad (only for sm_75, sm_80)\n")


def test_a_toolkit_header_that_was_not_seen_to_be_needed(tmp_path: Path) -> None:
    source = tmp_path / "k.cu"
    source.write_text("__global__ void k() {}\n", encoding="utf-8")
    log = '/toolkit/mma.h(55): catastrophic error: cannot open source file "crt/mma.h"'
    error = compile_failure(Place(tmp_path, "group", source="k.cu"), {"sm_80": [log]}, 1)
    assert error.message.startswith("k.cu: crt/mma.h was not fetched")
    assert "<mma.h>" in str(error.hint)
