"""Forms beside arithmetic that few kernels have: reductions of floats, other ways to memory, blocks that can be had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpuwheel.testing.ptx.executor import Configuration, Executor

pytestmark = pytest.mark.compiler

Array = Any
_HEAD = ".version 9.0\n.target sm_100a\n.address_size 64\n"
_REGISTERS = """.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<16>; .reg .b64 %d<16>; .reg .b128 %q<4>;
        .reg .f32 %f<16>;
mov.u32 %r0, %tid.x; mov.u32 %r1, %laneid;"""


@pytest.fixture(scope="module")
def executor() -> Executor:
    return Executor()


def launched(executor: Executor, body: str, *arrays: Array, threads: int = 32) -> None:
    """`%d0`, `%d1`, ... are the addresses of the arrays."""
    parameters = ", ".join(f".param .u64 p{index}" for index in range(len(arrays)))
    loads = "".join(f"ld.param.u64 %d{index}, [p{index}];" for index in range(len(arrays)))
    text = f"{_HEAD}.visible .entry k({parameters}) {{ {_REGISTERS} {loads} {body} ret; }}"
    result = executor.launch(executor.load(text), "k", Configuration((1,), (threads,), step_limit=99_999), arrays)
    assert (result.code, result.mistakes) == (0, [])


_FLOATS = {
    "numbers": np.random.default_rng(0).standard_normal(32),
    "zeros": np.where(np.arange(32) == 7, -0.0, 0.0),
    "negative zeros": np.where(np.arange(32) == 7, 0.0, -0.0),
    "infinities": np.where(np.arange(32) % 2, np.inf, -np.inf),
    "subnormals": (np.arange(32) - 16) * 1e-45,
    "one NaN": np.where(np.arange(32) == 3, np.nan, np.arange(32) - 9.5),
    "only NaN": np.full(32, np.nan),
}


@pytest.mark.parametrize("name", _FLOATS)
@pytest.mark.parametrize(
    "mode", ["min", "max", "min.abs", "max.abs", "min.NaN", "max.NaN", "min.abs.NaN", "max.abs.NaN"]
)
def test_redux_of_floats(executor: Executor, name: str, mode: str) -> None:
    x, y = _FLOATS[name].astype("f4"), np.zeros(32, "u4")
    launched(
        executor,
        f"""mad.wide.u32 %d2, %r0, 4, %d1; ld.global.f32 %f0, [%d2]; mov.f32 %f1, 0fFFFFFFFF;
        setp.ne.u32 %p0, %r0, 5; @%p0 redux.sync.{mode}.f32 %f1, %f0, 0xffffffdf;
        mad.wide.u32 %d2, %r0, 4, %d0; st.global.f32 [%d2], %f1;""",
        y,
        x,
    )
    values = np.delete(np.abs(x) if "abs" in mode else x, 5)
    numbers = values[~np.isnan(values)]
    if len(numbers) == 0 or ("NaN" in mode and len(numbers) < len(values)):
        wanted = 0x7FFFFFFF
    else:  # of zeros the negative one is the lesser
        order = np.lexsort((~np.signbit(numbers), numbers))
        wanted = int(numbers[order][0 if "min" in mode else -1].view("u4"))
    assert y[5] == 0xFFFFFFFF
    assert set(np.delete(y, 5).tolist()) == {wanted}


def test_other_ways_to_load_and_store(executor: Executor) -> None:
    x, y = np.arange(1, 9, dtype="u4"), np.zeros(24, "u4")
    launched(
        executor,
        """ldu.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d1]; ldu.u32 %r6, [%d1+16];
        ld.mmio.relaxed.sys.global.u32 %r7, [%d1+20];
        st.global.v4.u32 [%d0], {%r2, %r3, %r4, %r5}; st.mmio.relaxed.sys.u32 [%d0+16], %r6;
        st.global.u32 [%d0+20], %r7;
        st.async.mmio.release.sys.global.u32 [%d0+24], 77; mov.b16 %h0, 513;
        st.async.release.gpu.global.b8 [%d0+28], %h0;
        red.async.release.gpu.global.add.u32 [%d0], 10; mov.b64 %d3, -1;
        red.async.mmio.release.sys.add.s64 [%d0+64], %d3;
        prefetch.global.L2::evict_last [%d1]; createpolicy.range.global.L2::evict_last.b64 %d4, [%d1], 16, 32;
        ld.global.L2::cache_hint.u32 %r8, [%d1+24], %d4; st.global.u32 [%d0+32], %r8;""",
        y,
        x,
        threads=1,
    )
    assert y[:9].tolist() == [11, 2, 3, 4, 5, 6, 77, 1, 7]
    assert y[16:18].tolist() == [0xFFFFFFFF, 0xFFFFFFFF]


def test_what_is_discarded_has_no_value(executor: Executor) -> None:
    room = np.zeros(128, "f4")
    at = -room.ctypes.data % 128 // 4
    kept = room[at : at + 64]
    kept[:] = 5
    launched(executor, "discard.global.L2 [%d0], 128;", kept, threads=1)
    assert np.isnan(kept[:32]).all()
    assert (kept[32:] == 5).all()


def test_shared_memory_is_zeroed_in_bulk(executor: Executor) -> None:
    y = np.full(40, 9, "u4")
    launched(
        executor,
        """.shared .align 16 .b8 s[160]; mov.u32 %r2, s; mad.lo.u32 %r3, %r0, 4, %r2; st.shared.u32 [%r3], %r0;
        bar.sync 0; setp.eq.u32 %p0, %r0, 0; mov.u64 %d2, 96; @%p0 st.bulk.weak.shared::cta [%r2+16], %d2, 0;
        bar.sync 0;
        ld.shared.u32 %r4, [%r3]; mad.wide.u32 %d1, %r0, 4, %d0; st.global.u32 [%d1], %r4;""",
        y,
        threads=40,
    )
    assert y.tolist() == [lane if not 4 <= lane < 28 else 0 for lane in range(40)]


def test_no_block_can_be_had_before_it_begins(executor: Executor) -> None:
    y = np.full(2, 9, "u4")
    launched(
        executor,
        """.shared .align 16 .b8 s[16]; .shared .align 8 .b64 bar; mov.u32 %r2, s; mov.u32 %r3, bar;
        mbarrier.init.shared.b64 [%r3], 1; mbarrier.arrive.expect_tx.shared.b64 _, [%r3], 16;
        clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [%r2], [%r3];
        W: mbarrier.try_wait.parity.shared.b64 %p0, [%r3], 0; @!%p0 bra W;
        ld.shared.b128 %q0, [%r2]; clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p1, %q0;
        selp.u32 %r4, 1, 0, %p1; st.global.u32 [%d0], %r4;""",
        y,
        threads=1,
    )
    assert y.tolist() == [0, 9]
