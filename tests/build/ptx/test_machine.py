"""The machine computes what a GPU does: control flow, lanes and blocks together, each space of memory."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cuda_ptx import compile_to_ptx

from gpuwheel.testing.ptx.executor import Configuration, Executor

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.executor import LaunchResult

pytestmark = [pytest.mark.network, pytest.mark.compiler]

Run = Any
Array = Any
LANES = np.arange(32)
SOURCE = Path(__file__).with_name("machine.cu")
# load_matrix_sync, mma_sync, each element twice, store_matrix_sync, by nvcc 13.0: NVRTC has no mma.h.
FRAGMENTS = """\
.version 9.0
.target sm_80
.address_size 64
.visible .entry fragments(
 .param .u64 fragments_param_0,
 .param .u64 fragments_param_1,
 .param .u64 fragments_param_2
)
{
 .reg .f32 %f<18>;
 .reg .b32 %r<18>;
 .reg .b64 %rd<7>;
 ld.param.u64 %rd1, [fragments_param_0];
 ld.param.u64 %rd2, [fragments_param_1];
 ld.param.u64 %rd3, [fragments_param_2];
 cvta.to.global.u64 %rd4, %rd3;
 cvta.to.global.u64 %rd5, %rd2;
 mov.u32 %r1, 16;
 wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r2, %r3, %r4, %r5, %r6, %r7, %r8, %r9}, [%rd5], %r1;
 wmma.load.b.sync.aligned.col.m16n16k16.global.f16 {%r10, %r11, %r12, %r13, %r14, %r15, %r16, %r17}, [%rd4],
   %r1;
 mov.f32 %f1, 0f3F000000;
 wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%f2, %f3, %f4, %f5, %f6, %f7, %f8, %f9},
   {%r2, %r3, %r4, %r5, %r6, %r7, %r8, %r9}, {%r10, %r11, %r12, %r13, %r14, %r15, %r16, %r17},
   {%f1, %f1, %f1, %f1, %f1, %f1, %f1, %f1};
 cvta.to.global.u64 %rd6, %rd1;
 add.f32 %f10, %f2, %f2;
 add.f32 %f11, %f3, %f3;
 add.f32 %f12, %f4, %f4;
 add.f32 %f13, %f5, %f5;
 add.f32 %f14, %f6, %f6;
 add.f32 %f15, %f7, %f7;
 add.f32 %f16, %f8, %f8;
 add.f32 %f17, %f9, %f9;
 wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%rd6],
   {%f10, %f11, %f12, %f13, %f14, %f15, %f16, %f17}, %r1;
 ret;
}
"""


@pytest.fixture(scope="module")
def run() -> Run:
    """Launches a kernel of machine.cu, compiled for clusters."""
    ((text, log),) = compile_to_ptx([SOURCE], arch="compute_90")
    assert text is not None, log
    executor = Executor()
    loaded = executor.load(text)

    def run(kernel: str, block: int, *arguments: object, grid: int = 1, **more: Any) -> LaunchResult:  # noqa: ANN401
        return executor.launch(loaded, kernel, Configuration((grid,), (block,), **more), arguments)

    run.loaded = loaded  # type: ignore[attr-defined]
    return run


def kinds(result: LaunchResult) -> set[str]:
    return {raw.kind_name for raw in result.reports}


@pytest.fixture
def x() -> Array:
    return np.random.default_rng(0).standard_normal(256).astype("f4")


def test_functions_are_called_by_lanes_that_went_apart(run: Run, x: Array) -> None:
    y, lane = np.zeros(64, "f4"), np.arange(64)
    assert run("calls", 64, y, x).reports == ()
    factor = np.where(lane & 1, lane, lane + 1) & 7
    assert np.allclose(y, np.where(lane & 1, x[:64], -x[:64]) * factor * 2)


def test_functions_call_themselves(run: Run) -> None:
    y = np.zeros(32, "i4")
    assert run("recursion", 16, y).reports == ()
    assert y[:16].tolist() == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610]
    assert run("parity", 32, y).reports == ()
    assert y.tolist() == [1, 2] * 16


def test_each_call_has_local_memory_of_its_own_and_may_be_given_that_of_its_caller(run: Run) -> None:
    def folded(v: list[int], n: int) -> int:
        if n == 0:
            return v[0]
        mine = [value + n for value in v]
        v[0] += 1
        return folded(mine, n - 1) + mine[0] * v[0]

    def one(n: int) -> int:
        v = [1, 2, 3, 4]
        return folded(v, n) + v[0]

    y = np.zeros(64, "f4")
    assert run("folded", 64, y, grid=2).reports == ()
    assert y.tolist() == [one(thread % 7) for thread in range(64)]


def test_calls_that_find_no_room_for_their_frames_are_ended(run: Run) -> None:
    result = run("too_deep", 32, np.zeros(1, "i4"))
    assert (result.code, kinds(result)) == (719, {"too-deep"})


def test_a_thread_may_end_in_a_call_before_the_next_block_begins(run: Run, x: Array) -> None:
    y = np.zeros(96, "i4")
    assert run("leaves_from_calls", 32, y, x, grid=3).reports == ()
    assert y.tolist() == [7 if lane % 2 else 28 for lane in range(32)] * 3


def test_functions_are_called_by_their_addresses(run: Run, x: Array) -> None:
    y, addresses = np.zeros(32, "f4"), np.zeros(2, "u8")
    for which in (0, 1):
        assert run("pointed", 32, y, x, which).reports == ()
        wanted = np.where((LANES + which) & 1, x[:32] * LANES, x[:32] + LANES)
        assert np.allclose(y, np.where(LANES % 3 == 2, -1, wanted))
    assert run("gives_pointers", 2, addresses).reports == ()
    assert len({*addresses.tolist(), 0}) == 3
    for address, wanted in zip(addresses.tolist(), (x[:32] + 3, x[:32] * 3), strict=True):
        assert run("pointed_by_argument", 32, y, x, address).reports == ()
        assert np.allclose(y, wanted)


def test_an_address_of_no_function_is_not_called(run: Run, x: Array) -> None:
    for address in (0, 4096, x.ctypes.data):
        result = run("pointed_by_argument", 32, np.zeros(32, "f4"), x, address)
        assert (result.code, kinds(result)) == (719, {"trap"})


def test_virtual_functions(run: Run, x: Array) -> None:
    y = np.zeros(32, "f4")
    assert run("virtuals", 32, y, x).reports == ()
    v = x[:32]
    assert np.allclose(y, np.choose(LANES & 3, [v, 2 * v * v, 6 * v * v, 18 * v * v]) + 1)


def test_a_call_may_list_its_targets() -> None:
    text = """.version 9.0
    .target sm_80
    .address_size 64
    .func (.param .b32 r) f(.param .b32 a) {
    .reg .b32 %r<3>; ld.param.b32 %r1, [a]; add.u32 %r2, %r1, 1; st.param.b32 [r], %r2; ret; }
    .func (.param .b32 r) g(.param .b32 a) {
    .reg .b32 %r<3>; ld.param.b32 %r1, [a]; mul.lo.u32 %r2, %r1, 3; st.param.b32 [r], %r2; ret; }
    .visible .entry k(.param .u64 to) {
    .reg .b32 %r<5>; .reg .b64 %d<5>; .reg .pred %p<3>;
    ld.param.b64 %d0, [to]; mov.u32 %r0, %tid.x; mov.u64 %d1, f; mov.u64 %d2, g;
    setp.lt.u32 %p0, %r0, 16; selp.b64 %d1, %d1, %d2, %p0; setp.ne.u32 %p1, %r0, 5; mov.u32 %r2, 99;
    { .param .b32 pa; .param .b32 pr; st.param.b32 [pa], %r0; targets: .calltargets f, g;
    @%p1 call (pr), %d1, (pa), targets; @%p1 ld.param.b32 %r2, [pr]; }
    mad.wide.u32 %d3, %r0, 4, %d0; st.global.u32 [%d3], %r2; ret; }"""
    executor, y = Executor(), np.zeros(32, "u4")
    assert executor.launch(executor.load(text), "k", Configuration((1,), (32,)), (y,)).reports == ()
    assert y.tolist() == [99 if lane == 5 else lane + 1 if lane < 16 else lane * 3 for lane in range(32)]


def test_lanes_part_and_meet(run: Run) -> None:
    def one(count: int) -> int:
        s = 0
        for k in range(count):
            if k % 3 == 0:
                continue
            if k > 20:
                break
            s += k
            rest = int(np.fmod(s, 5))
            s = s ^ 5 if rest == 3 else s + {0: 1, 1: 5, 2: 3}.get(rest, -1)
        return s

    y = np.zeros(64, "i4")
    assert run("diverge", 64, y).reports == ()
    assert y.tolist() == [one(count) for count in range(64)]


def test_votes_matches_and_reductions(run: Run) -> None:
    x = np.random.default_rng(1).integers(0, 8, 32).astype("u4")
    y = np.zeros(160, "u4")
    assert run("votes", 32, y, x).reports == ()
    assert set(y[:32].tolist()) == {sum(int(value & 1) << lane for lane, value in enumerate(x))}
    assert y[32:64].tolist() == [sum(1 << j for j in range(32) if x[j] == x[lane]) for lane in range(32)]
    assert set(y[64:96].tolist()) == {int((x == 3).any()) + 2 * int((x < 7).all())}
    assert set(y[96:128].tolist()) == {0}  # all lanes, and one more: 2 ** 32
    third = LANES % 3 == 0
    assert set(y[128:][third].tolist()) == {int(LANES[third].sum()) + int(x[third].max())}


def test_shuffles(run: Run, x: Array) -> None:
    y = np.zeros(32, "f4")
    assert run("shuffles", 32, y, x).reports == ()
    down = np.where(LANES % 8 < 4, LANES + 4, LANES)
    up = np.where(LANES % 8 >= 4, LANES - 4, LANES)
    v = x[:32] + x[np.where(LANES < 16, down, up)]
    assert np.allclose(y, v + v[5] + v[LANES ^ 9])


def test_atomics_and_loops_over_the_grid(run: Run) -> None:
    x = np.random.default_rng(2).integers(0, 100, 1000).astype("i4")
    y, f = np.zeros(19, "i4"), np.zeros(1, "f4")
    assert run("histogram", 96, y, f, x, 1000, grid=3).reports == ()
    assert y[:16].tolist() == np.bincount(x & 15, minlength=16).tolist()
    assert (f[0], y[16], y[17], y[18]) == (1000, x.max(), 5, 1000 % 7)


def test_printf(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run("says", 32, 7)
    run("never_ends", 32, np.ones(1, "i4"))
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == "hello 7 world 2.500 1234567890123 q    42|ff %\n"


def test_a_trap_ends_the_launch(run: Run) -> None:
    y = np.zeros(2, "i4")
    result = run("traps", 32, y)
    assert (result.code, kinds(result), y.tolist()) == (719, {"trap"}, [1, 0])


def test_a_kernel_that_never_ends_is_ended(run: Run) -> None:
    result = run("never_ends", 32, np.zeros(1, "i4"), step_limit=100_000)
    assert (result.code, kinds(result)) == (702, {"too-long"})
    (mistake,) = result.mistakes
    line = next(number for number, text in enumerate(SOURCE.read_text().split("\n"), 1) if "void never_ends" in text)
    assert (mistake.kernel, mistake.block, mistake.thread) == ("never_ends", (0, 0, 0), (0, 0, 0))
    assert mistake.instruction
    assert abs(mistake.places[0].line - line) <= 3


def test_blocks_that_had_no_turn_are_not_passed_over(run: Run) -> None:
    x, y = np.zeros(1000, "i4"), np.zeros(19, "i4")
    result = run("histogram", 32, y, np.zeros(1, "f4"), x, 1000, grid=1000, step_limit=5_000)
    assert (result.code, kinds(result)) == (702, {"too-long"})
    (mistake,) = result.mistakes
    assert 0 < mistake.block[0] < 999
    assert (mistake.thread, bool(mistake.instruction)) == ((0, 0, 0), True)


def test_the_thread_that_runs_is_told_and_none_that_waits_for_it(run: Run) -> None:
    (mistake,) = run("one_warp_never_ends", 64, np.zeros(1, "i4"), step_limit=100_000).mistakes
    assert (mistake.kind, mistake.thread) == ("too-long", (32, 0, 0))


def test_blocks_of_a_cooperative_grid_wait_for_each_other(run: Run) -> None:
    y = np.zeros(256, "i4")
    assert run("grid_sync", 32, y, 256, grid=8, cooperative=True).reports == ()
    assert set(y.tolist()) == {256}


def test_blocks_of_a_cluster_read_each_other_s_shared_memory(run: Run) -> None:
    y = np.zeros((8, 32), "i4")
    assert run("clusters", 32, y, grid=8, cluster=(4, 1, 1)).reports == ()
    neighbour = np.array([block // 4 * 4 + (block + 1) % 4 for block in range(8)])
    assert (y == neighbour[:, None] * 100 + LANES).all()


def test_named_barriers_and_those_that_count(run: Run) -> None:
    y = np.zeros(192, "i4")
    assert run("named_barriers", 128, y).reports == ()
    assert y[:64].tolist() == list(range(63, -1, -1))
    assert set(y[64:].tolist()) == {43 * 100 + 10}


def test_generic_addresses_are_of_any_space(run: Run, x: Array) -> None:
    y, thread = np.zeros(256, "f4"), np.arange(128)
    assert run("dynamic_shared", 128, y, x, shared_bytes=512).reports == ()
    odd = thread % 2 == 1
    assert np.allclose(y[:128][odd], (x[127 - thread] + thread % 3)[odd])
    assert (y[128:][~odd] == x[:128][~odd]).all()


def test_variables_of_a_module_begin_with_their_values_and_keep_them(run: Run) -> None:
    y = np.zeros(32, "f4")
    for times in (1, 2):
        assert run("variables", 32, y).reports == ()
        loaded = run.loaded  # type: ignore[attr-defined]
        assert int.from_bytes(bytes(loaded.variables["counter"]), "little") == 3 * times
    assert np.allclose(y, (5 + LANES % 4) * 2.5 + 6)


def test_a_lock_of_lanes_and_blocks_is_given_to_each(run: Run) -> None:
    y, lock = np.zeros(1, "i4"), np.zeros(1, "i4")
    run("spin_lock", 64, lock, y, grid=2, step_limit=3_000_000)
    assert y[0] == 128


def test_lanes_of_one_warp_wait_for_each_other(run: Run) -> None:
    y, lock, flags = np.zeros(32, "i4"), np.zeros(1, "i4"), np.zeros(32, "i4")
    assert run("warp_lock", 32, lock, y[:1], step_limit=3_000_000).code == 0
    assert y[0] == 32
    assert run("handed_over", 32, flags, y, step_limit=3_000_000).code == 0
    assert y.tolist() == [1] * 16 + [2] * 16


def test_an_arrival_at_a_cluster_may_come_long_before_the_wait(run: Run) -> None:
    y = np.zeros((4, 32), "i4")
    assert run("split_cluster_barrier", 32, y, grid=4, cluster=(2, 1, 1)).reports == ()
    assert (y == np.array([100, 0, 300, 200])[:, None] + LANES).all()


def test_lanes_that_come_late_or_never_are_no_divergent_barrier(run: Run) -> None:
    a, v = np.where(np.arange(64) % 5, 1, -1).astype("i4"), np.zeros(128, "i4")
    assert run("cold_path", 64, v, a).reports == ()
    assert v[:64].tolist() == [(1 if lane % 5 else 3) + (lane < 40) for lane in range(64)]


def test_the_last_block_reads_what_the_others_wrote(run: Run) -> None:
    for _ in range(20):
        count, data, out = np.zeros(9, "i4"), np.zeros(8 * 48, "i4"), np.zeros(1, "i4")
        assert run("last_block", 48, count, data, out, grid=8).reports == ()
        assert out[0] == 8 * sum(range(48))


def test_copies_that_end_when_they_are_waited_for(run: Run, x: Array) -> None:
    y = np.zeros(256, "f4")
    assert run("pipeline", 128, y, x).reports == ()
    assert (y == np.concatenate([x[:128], x[:127:-1]])).all()


def test_mbarrier_phases(run: Run) -> None:
    y = np.zeros(64, "i4")
    assert run("arrivals", 64, y, step_limit=3_000_000).reports == ()
    assert y.tolist() == [63 - thread + 2 for thread in range(64)]


@pytest.mark.parametrize("grid", [2, 33, 132])
def test_blocks_wait_for_blocks_that_begin_after_them(run: Run, grid: int) -> None:
    sums = np.zeros((grid, 64), "i4")
    assert run("from_the_last", 64, np.zeros(grid, "i4"), sums, grid=grid).reports == ()
    assert sums[:, 0].tolist() == [sum(range(block, grid)) for block in range(grid)]
    assert (sums == sums[:, :1]).all()


def test_wmma() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((16, 16)).astype("f2"), rng.standard_normal((16, 16)).astype("f2")
    y = np.zeros((16, 16), "f4")
    executor = Executor()
    result = executor.launch(executor.load(FRAGMENTS), "fragments", Configuration((1,), (32,)), (y, a, b))
    assert result.reports == ()
    assert np.allclose(y, 2 * (a.astype("f4") @ b.astype("f4").T + 0.5), atol=1e-4)


HOSTILE = {
    "an address of nobody": ("mov.u64 %rd1, 4096; st.global.u32 [%rd1], 1;", 0, "out-of-bounds"),
    "the end of all addresses": (
        "mov.u64 %rd1, -4; st.global.v4.u32 [%rd1], {%r1, %r1, %r1, %r1};",
        0,
        "out-of-bounds",
    ),
    "shared memory of no block": ("mov.u32 %r1, 0x5000000; st.shared.u32 [%r1], 1;", 0, "shared-out-of-bounds"),
    "a row of a matrix": ("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%r1+4096];", 0, "shared-out-of-bounds"),
    "registers too wide": ("shfl.sync.up.b32 %rd1, %rd2, 1, 0, -1;", 801, "no-meaning"),
    "predicates as matrices": (
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%rd1, %rd2}, {%p1}, {%p1}, {%rd1, %rd2};",
        801,
        "no-meaning",
    ),
    "a label that is not there": ("bra NOWHERE;", 801, "no-meaning"),
    "branch 99 of two": ("mov.u32 %r1, 99; T: .branchtargets A, A; brx.idx %r1, T; A: ret;", 719, "trap"),
    "barrier 99": ("mov.u32 %r1, 99; bar.sync %r1;", 719, "bad-barrier"),
    "a copy in bulk beyond all shared memory": (
        "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r1], [%r2], 0xfffffff0, [%r3];",
        0,
        "shared-out-of-bounds",
    ),
    "a copy in bulk that is no multiple of 16": (
        ".shared .align 16 .b8 x[64]; mov.u32 %r1, x; cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r1], 20;",
        0,
        "misaligned",
    ),
    "a value for a barrier of nobody": (
        "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%r1], %r1, [%r2+16777216];",
        0,
        "shared-out-of-bounds",
    ),
    "a copy of no size that there is": ("cp.async.ca.shared.global [%r2], [%rd1], 65536;", 801, "no-meaning"),
    "nothing to shuffle": ("shfl.sync.up.b32 %r1, _, 1, 0, -1;", 801, "no-meaning"),
    "a constant to write to": ("activemask.b32 424242;", 801, "no-meaning"),
    "a barrier of a variable": (".local .b8 x[4]; bar.sync x;", 801, "no-meaning"),
    "an offset beyond all": ("ld.global.u32 %r1, [%rd1+9999999999999];", 801, "no-meaning"),
    "no end": ("L: bra L;", 702, "too-long"),
    "no instruction": ("wgmma.fence.sync.aligned;", 801, "no-meaning"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_kernel_reaches_what_is_not_its_own(name: str) -> None:
    body, code, kind = HOSTILE[name]
    registers = ".reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .pred %p<4>; .reg .f32 %f<4>;"
    text = f".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() {{ {registers} {body} ret; }}"
    executor = Executor()
    result = executor.launch(executor.load(text), "k", Configuration((1,), (32,), step_limit=10_000), ())
    assert (result.code, kinds(result)) == (code, {kind})


@pytest.mark.parametrize(
    ("code", "configuration"),
    [
        (1, Configuration((1,), (0,))),
        (1, Configuration((0,), (32,))),
        (1, Configuration((1,), (65536, 65536))),
        (912, Configuration((6,), (32,), cluster=(4, 1, 1))),
        (912, Configuration((64, 64), (32,), cluster=(64, 64, 1))),
        (701, Configuration((1,), (32,), shared_bytes=1 << 20)),
        (720, Configuration((100_000,), (32,), cooperative=True)),
    ],
)
def test_a_launch_that_no_gpu_takes_is_refused(code: int, configuration: Configuration) -> None:
    executor = Executor()
    loaded = executor.load(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }")
    assert executor.launch(loaded, "k", configuration, ()).code == code


def test_what_a_warp_writes_may_be_kept_nowhere() -> None:
    body = """.shared .align 16 .b8 s[256]; mov.u32 %r1, s; activemask.b32 _;
    st.shared.u32 [%r1+252], 0; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {_}, [%r1];
    mov.u64 %rd1, %clock64; mov.u32 %r2, %clock_hi; ld.param.u64 %rd2, [to]; st.global.u64 [%rd2], %rd1;
    st.global.u32 [%rd2+8], %r2;"""
    registers = ".reg .b32 %r<8>; .reg .b64 %rd<8>;"
    head = ".version 8.0\n.target sm_80\n.address_size 64\n"
    executor = Executor(checks=())
    y = np.full(2, -1, "i8")
    loaded = executor.load(f"{head}.visible .entry k(.param .u64 to) {{ {registers} {body} ret; }}")
    assert executor.launch(loaded, "k", Configuration((1,), (32,)), (y,)).code == 0
    assert 0 <= y[0] < 100
    assert y[1] & 0xFFFFFFFF == 0


def test_launches_of_several_threads_add_up(run: Run) -> None:
    x = np.random.default_rng(3).integers(0, 100, 300_000).astype("i4")
    y, f = np.zeros(19, "i4"), np.zeros(1, "f4")

    def launch(_: int) -> LaunchResult:
        return run("histogram", 96, y, f, x, len(x), grid=3)  # type: ignore[no-any-return]

    with ThreadPoolExecutor(4) as threads:
        assert [result.reports for result in threads.map(launch, range(8))] == [()] * 8
    assert y[:16].tolist() == (8 * np.bincount(x & 15, minlength=16)).tolist()
    assert f[0] == 8 * len(x)


def test_each_address_has_an_offset_of_its_own() -> None:
    registers = ".reg .b32 %r<8>; .reg .b64 %d<8>; .shared .align 16 .b8 s[64];"
    copies = "".join(
        f"cp.async.ca.shared.global [%r0{to}], [%d0{of}], 4;"
        for to, of in (("+8", ""), ("", "+12"), ("+4", "+4"), ("+12", "+8"))
    )
    stores = "".join(f"ld.shared.u32 %r1, [%r0+{at}]; st.global.u32 [%d0+{at + 16}], %r1;" for at in (0, 4, 8, 12))
    text = f""".version 8.0
    .target sm_80
    .address_size 64
    .visible .entry k(.param .u64 to) {{ {registers} ld.param.u64 %d0, [to]; mov.u32 %r0, s;
    {copies} cp.async.wait_all; {stores} ret; }}"""
    executor, y = Executor(), np.arange(8, dtype="u4")
    assert executor.launch(executor.load(text), "k", Configuration((1,), (1,)), (y,)).reports == ()
    assert y[4:].tolist() == [3, 1, 0, 2]


def test_shared_memory_that_cuda_reserves_is_there(run: Run) -> None:
    y = np.zeros(64, "i4")
    assert run("in_reserved_memory", 64, y).reports == ()
    assert y.tolist() == [163 - lane for lane in range(64)]


def test_a_function_of_cuda_that_is_not_done_is_named(run: Run) -> None:
    (mistake,) = run("on_the_heap", 32, np.ones(32, "i4")).mistakes
    assert (mistake.kind, mistake.kernel) == ("no-meaning", "on_the_heap")
    assert "malloc" in mistake.instruction


def test_arrays_are_passed_as_what_they_are(run: Run) -> None:
    x = np.zeros(64, "i4")
    for wrong in (x[::-1][:32], np.broadcast_to(x[:1], (32,)), np.frombuffer(bytes(256), "i4")):
        with pytest.raises(ValueError, match="pass a copy"):
            run("recursion", 32, wrong)
    y = np.zeros(256, "i4")
    assert run("grid_sync", 32, y, np.int32(256), grid=8, cooperative=True).reports == ()
    assert set(y.tolist()) == {256}
