"""Operands of every kind reach a form as the PTX manual says: constants, `!p`, `_`, parts, wider registers."""

from __future__ import annotations

import numpy as np
import pytest

from gpuwheel.testing.ptx.executor import Configuration, Executor

_A, _B = 0x8765FEDC, 0x00000003
# What is written, from %a = _A and %b = _B, and what is to be in the 64 bits of %d.
_WRITTEN = (
    ("add.s32 %r, %a, -1; cvt.u64.u32 %d, %r;", _A - 1),
    ("mad.lo.u32 %r, %b, 0x10, 5; cvt.u64.u32 %d, %r;", 0x35),
    ("mov.f32 %f, 0f3F800000; add.f32 %f, %f, 0f40000000; mov.b32 %r, %f; cvt.u64.u32 %d, %r;", 0x40400000),
    ("mov.f32 %f, 1.5; add.f32 %f, %f, 0.25; mov.b32 %r, %f; cvt.u64.u32 %d, %r;", 0x3FE00000),
    ("mov.f64 %g, 0d3FF0000000000000; add.f64 %g, %g, 1.5; mov.b64 %d, %g;", 0x4004000000000000),
    ("mov.b64 %d, {%a, 7};", 7 << 32 | _A),
    ("mov.b32 {%s, _}, %a; cvt.u64.u16 %d, %s;", 0xFEDC),
    ("mov.b32 {_, %s}, %a; cvt.u64.u16 %d, %s;", 0x8765),
    ("mov.b32 {%s, %t}, %a; mov.b32 %r, {%t, %s}; cvt.u64.u32 %d, %r;", 0xFEDC8765),
    ("setp.gt.s32 %p|%q, %a, %b; selp.b64 %d, 1, 2, %q;", 1),
    ("setp.gt.u32 _|%q, %a, %b; selp.b64 %d, 1, 2, %q;", 2),
    ("setp.ne.u32 %p, %a, 0; setp.eq.and.u32 %q, %b, 3, !%p; selp.b64 %d, 1, 2, %q;", 2),
    ("setp.ne.u32 %p, %a, 0; not.pred %q, %p; selp.b64 %d, 1, 2, %q;", 2),
    ("setp.ne.u32 %p, %b, 3; mov.u64 %d, 1; @%p mov.u64 %d, 2;", 1),
    ("setp.ne.u32 %p, %b, 3; mov.u64 %d, 1; @!%p mov.u64 %d, 2;", 2),
    ("lop3.or.b32 _|%p, %a, %b, 0, 0xC0, 0; selp.b64 %d, 1, 2, %p;", 2),
    # Registers wider than the type: the lower bits are read, the result is extended as its type says.
    ("cvt.u32.u8 %r, %a; cvt.u64.u32 %d, %r;", 0xDC),
    ("cvt.s32.s8 %r, %a; cvt.u64.u32 %d, %r;", 0xFFFFFFDC),
    ("cvt.s64.s16 %d, %a;", 0xFFFFFFFFFFFFFEDC),
    ("cvt.u8.u32 %r, %a; cvt.u64.u32 %d, %r;", 0xDC),
    ("cvt.s8.s32 %r, %a; cvt.u64.u32 %d, %r;", 0xFFFFFFDC),
    ("cvt.sat.s8.s32 %s, %a; cvt.u64.u16 %d, %s;", 0xFF80),
    # The carry flag stays from one instruction to another, and is that of the thread.
    ("add.cc.u32 %r, %a, %a; mov.u32 %r, 5; addc.u32 %r, %r, 0; cvt.u64.u32 %d, %r;", 6),
    ("sub.cc.u32 %r, %b, %a; subc.u32 %r, 0, 0; cvt.u64.u32 %d, %r;", 0xFFFFFFFF),
    ("shl.b32 %r, %a, 33; cvt.u64.u32 %d, %r;", 0),
    ("shr.s32 %r, %a, 200; cvt.u64.u32 %d, %r;", 0xFFFFFFFF),
    ("mov.u32 %r, %laneid; cvt.u64.u32 %d, %r; sub.u64 %d, %d, %d;", 0),
)


@pytest.fixture(scope="module")
def found() -> np.ndarray:
    stores = "\n".join(f"{written} st.global.u64 [%o+{8 * at}], %d;" for at, (written, _) in enumerate(_WRITTEN))
    text = f"""
.version 9.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 out, .param .u32 pa, .param .u32 pb) {{
.reg .b64 %o, %d; .reg .b32 %a, %b, %r; .reg .b16 %s, %t; .reg .f32 %f; .reg .f64 %g; .reg .pred %p, %q;
ld.param.u64 %o, [out]; ld.param.u32 %a, [pa]; ld.param.u32 %b, [pb];
{stores}
ret;
}}
"""
    executor = Executor(checks=("basic",))
    results = np.zeros(len(_WRITTEN), np.uint64)
    launched = executor.launch(executor.load(text), "k", Configuration((1,), (1,)), [results, _A, _B])
    assert (launched.code, launched.reports) == (0, ())
    return results


@pytest.mark.compiler
@pytest.mark.parametrize(("at", "written", "wanted"), [(at, *each) for at, each in enumerate(_WRITTEN)])
def test_an_operand_of_each_kind_is_read_as_it_is_written(
    found: np.ndarray, at: int, written: str, wanted: int
) -> None:
    assert int(found[at]) == wanted, written


# What follows the size of a copy, and how many of its 16 bytes come from the source (PTX ISA, 9.7.9.25.3.1).
_COPIES = {
    ("", "16"): 16,
    (".L2::128B", "16"): 16,
    ("", "16, 8"): 8,
    ("", "16, %size"): 4,
    ("", "16, %p"): 0,
    ("", "16, !%p"): 16,
    (".L2::cache_hint", "16, %policy"): 16,
    (".L2::cache_hint.L2::64B", "16, 8, %policy"): 8,
    (".L2::cache_hint", "16, %p, %policy"): 0,
    (".L2::cache_hint", "16, !%p, %policy"): 16,
}


@pytest.mark.parametrize(("shared", "cached"), [("shared", "cg"), ("shared::cta", "ca")])
@pytest.mark.parametrize(("hint", "sizes"), _COPIES)
def test_a_copy_takes_its_size_and_its_policy_for_what_they_are(
    shared: str, cached: str, hint: str, sizes: str
) -> None:
    text = f"""\
    .version 8.5
    .target sm_80
    .address_size 64
    .visible .entry k(.param .u64 to, .param .u64 from) {{
      .reg .b32 %at, %size, %r<4>; .reg .b64 %to, %from, %policy; .reg .pred %p;
      .shared .align 16 .b8 s[16];
      mov.u32 %at, s; mov.u32 %size, 4; setp.eq.u32 %p, %size, 4;
      ld.param.u64 %to, [to]; ld.param.u64 %from, [from];
      createpolicy.fractional.L2::evict_first.b64 %policy, 1.0;
      cp.async.{cached}.{shared}.global{hint} [%at], [%from], {sizes};
      cp.async.wait_all;
      ld.shared.v4.u32 {{%r0, %r1, %r2, %r3}}, [s];
      st.global.v4.u32 [%to], {{%r0, %r1, %r2, %r3}};
      ret;
    }}"""
    source, result = np.arange(1, 17, dtype="u1"), np.full(16, 99, "u1")
    executor = Executor()
    launched = executor.launch(executor.load(text), "k", Configuration((1,), (1,)), (result, source))
    assert (launched.code, launched.reports) == (0, ())
    assert result.tolist() == [byte if byte <= _COPIES[hint, sizes] else 0 for byte in range(1, 17)]
