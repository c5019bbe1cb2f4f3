"""Plain accesses have a way for a whole warp: it is found by the words of their meaning, which are easily changed."""

from __future__ import annotations

import pytest

from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.handlers import handlers_source
from gpuwheel.testing.ptx.program import make_program

MODULE = """.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 p) {{
  .reg .b64 %rd<4>; .reg .b32 %r<4>; .reg .f32 %f<5>;
  .shared .align 4 .b8 held[256];
  {};
  ret;
}}
"""


@pytest.mark.parametrize(
    ("instruction", "has"),
    [
        ("ld.param.u64 %rd1, [p]", True),
        ("ld.global.f32 %f1, [%rd1]", True),
        ("ld.global.nc.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1+16]", True),
        ("st.global.v2.b32 [%rd1], {%r1, %r2}", True),
        ("ld.shared.f32 %f1, [%r1]", True),
        ("ld.volatile.global.u32 %r1, [%rd1]", False),
        ("st.release.gpu.global.u32 [%rd1], %r1", False),
    ],
)
def test_plain_accesses_and_no_others_have_a_way_for_a_whole_warp(instruction: str, has: bool) -> None:  # noqa: FBT001
    program = make_program(reading.read_module(MODULE.format(instruction)), "k")
    (form,) = [form for form in program.forms if form.name != "ret"]
    source = handlers_source([form])
    assert form.name in instruction
    assert ("SIDE_LANES" in source) == has
