"""Copies in bulk and their relatives move what they say, no earlier than they are waited for."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def run() -> Run:
    """Launches a kernel of bulk.cu."""
    ((text, log),) = compile_to_ptx([Path(__file__).with_name("bulk.cu")], arch="compute_90a")
    assert text is not None, log
    executor = Executor()
    loaded = executor.load(text)

    def run(kernel: str, block: int, *arguments: object, grid: int = 1, **more: Any) -> LaunchResult:  # noqa: ANN401
        limits = Configuration((grid,), (block,), step_limit=1_000_000, **more)
        return executor.launch(loaded, kernel, limits, arguments)

    return run


def kinds(result: LaunchResult) -> set[str]:
    return {raw.kind_name for raw in result.reports}


def test_the_guide_s_example(run: Run) -> None:
    data = np.arange(512, dtype="i4")
    assert run("guide", 64, data, grid=2).reports == ()
    assert data.tolist() == list(range(1, 513))


def test_stages_are_filled_while_others_are_read(run: Run) -> None:
    x, y = np.random.default_rng(0).standard_normal((4, 64)).astype("f4"), np.zeros((4, 64), "f4")
    assert run("stages", 96, y, x, 1).reports == ()
    assert (y == x[:, ::-1] + 1).all()


def test_what_is_read_without_a_wait_is_reported(run: Run) -> None:
    x, y = np.ones((4, 64), "f4"), np.zeros((4, 64), "f4")
    result = run("stages", 96, y, x, 0)
    assert kinds(result) & {"unfinished-copy", "shared-race", "shared-uninitialised"}
    assert np.isnan(y).any()


def test_one_block_reads_for_its_cluster(run: Run) -> None:
    x, y = np.arange(64, dtype="f4").reshape(2, 32), np.full((8, 32), -1, "f4")
    assert run("multicast", 32, y, x, grid=8, cluster=(4, 1, 1)).reports == ()
    assert (y == np.stack([x[block // 4] if block % 4 != 2 else np.full(32, -1) for block in range(8)])).all()


def test_blocks_of_a_cluster_send_to_each_other(run: Run) -> None:
    y, t = np.zeros((2, 160), "i4"), np.arange(32)
    assert run("sends", 32, y, grid=2, cluster=(2, 1, 1)).reports == ()
    for block, found in enumerate(y):
        assert (found[:32] == (1 - block) * 100 + t).all()
        assert (found[32:96].reshape(32, 2) == np.stack([t, -t], 1)).all()
        assert (found[96:128] == np.where(t & 1, 1000 + 256, 1000 + 240)).all()


def test_a_source_is_read_when_its_group_is_waited_for(run: Run) -> None:
    for waits in (1, 0):
        y = np.zeros(32, "f4")
        assert run("written_too_early", 32, y, waits).code == 0
        assert (y == (np.arange(32) if waits else -1)).all()


_HEAD = ".version 9.0\n.target sm_100a\n.address_size 64\n"
_INTEGERS = {"u32": "u4", "s32": "i4", "u64": "u8", "s64": "i8", "b32": "u4", "b64": "u8"}
_FLOATS = {"f16": "f2", "f32": "f4", "f64": "f8"}
_OF_GLOBAL = {
    **dict.fromkeys(("and", "or", "xor"), ("b32", "b64")),
    **dict.fromkeys(("inc", "dec"), ("u32",)),
    **dict.fromkeys(("min", "max"), ("u32", "s32", "u64", "s64", "f16")),
    "add": ("u32", "s32", "u64", "f32", "f64", "noftz.f16"),
}
_OF_SHARED = {
    **dict.fromkeys(("and", "or", "xor"), ("b32",)),
    **dict.fromkeys(("inc", "dec"), ("u32",)),
    **dict.fromkeys(("min", "max"), ("u32", "s32")),
    "add": ("u32", "s32", "u64"),
}
_MEANINGS: dict[str, Any] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "inc": lambda old, b: np.where(old >= b, 0, old + 1),
    "dec": lambda old, b: np.where((old == 0) | (old > b), b, old - 1),
}


def _values(of: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    if of in _FLOATS:
        edges = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 6e-8, -6e-8, 65504.0, 1e-40, 3e-39]
        with np.errstate(over="ignore"):
            every = np.array([*edges, *rng.standard_normal(20)], _FLOATS[of])
        return every, np.roll(every[::-1], 5).copy()
    kind = np.dtype(_INTEGERS[of])
    ends = np.iinfo(kind)
    every = np.array([0, 1, 2, 5, ends.max, ends.max - 1, ends.min, ends.min + 1], kind)
    drawn = rng.integers(ends.min, ends.max, 24, dtype=kind, endpoint=True)
    first = np.concatenate([every, drawn])
    return first, np.roll(first[::-1], 3).copy()


def _wanted(op: str, of: str, old: np.ndarray, b: np.ndarray) -> np.ndarray:
    """As atomics do it: f32 in global memory without subnormals, of a number and NaN the number."""
    with np.errstate(all="ignore"):
        if of in _FLOATS and op in {"min", "max"}:
            return {"min": np.fmin, "max": np.fmax}[op](old, b)
        if of == "f32":
            small = np.finfo("f4").tiny
            old, b = (np.where(np.abs(each) < small, np.copysign(np.float32(0), each), each) for each in (old, b))
            total = old + b
            return np.where(np.abs(total) < small, np.copysign(np.float32(0), total), total)
        return _MEANINGS[op](old, b).astype(old.dtype)


def _same(found: np.ndarray, wanted: np.ndarray) -> bool:
    bits = np.dtype(f"u{found.dtype.itemsize}")
    equal = found.view(bits) == wanted.view(bits)
    return bool((equal | (np.isnan(found) & np.isnan(wanted)) if found.dtype.kind == "f" else equal).all())


@pytest.mark.parametrize(("op", "of"), [(op, of) for op, types in _OF_GLOBAL.items() for of in types])
def test_reductions_in_bulk_of_global_memory(op: str, of: str) -> None:
    name = of.rpartition(".")[2]
    old, b = _values(name)
    size = old.nbytes
    text = f"""{_HEAD}.visible .entry k(.param .u64 to, .param .u64 from) {{
    .reg .b32 %r<9>; .reg .b64 %d<9>; .reg .pred %p; .shared .align 128 .b8 s[{size}]; .shared .align 8 .b64 bar;
    ld.param.u64 %d0, [to]; ld.param.u64 %d1, [from]; mov.u32 %r0, s; mov.u32 %r1, bar;
    mbarrier.init.shared.b64 [%r1], 1; mbarrier.arrive.expect_tx.shared.b64 _, [%r1], {size};
    cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r0], [%d1], {size}, [%r1];
    W: mbarrier.try_wait.parity.shared.b64 %p, [%r1], 0; @!%p bra W;
    cp.reduce.async.bulk.global.shared::cta.bulk_group.{op}.{of} [%d0], [%r0], {size};
    cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ret; }}"""
    executor, found = Executor(), old.copy()
    result = executor.launch(executor.load(text), "k", Configuration((1,), (1,), step_limit=9999), (found, b))
    assert (result.code, result.reports) == (0, ())
    assert _same(found, _wanted(op, name, old, b)), (found, _wanted(op, name, old, b))


@pytest.mark.parametrize("how", ["cp.reduce.async.bulk", "red.async"])
@pytest.mark.parametrize(("op", "of"), [(op, of) for op, types in _OF_SHARED.items() for of in types])
def test_reductions_of_shared_memory(how: str, op: str, of: str) -> None:
    old, b = _values(of)
    size, each, bits = old.nbytes, old.itemsize, 8 * old.itemsize
    told = f"mbarrier::complete_tx::bytes.{op}.{of}"
    do_it = (
        f"@%q cp.reduce.async.bulk.shared::cluster.shared::cta.{told} [%r0], [%r2], {size}, [%r1];"
        if how != "red.async"
        else f"red.async.relaxed.cluster.shared::cluster.{told} [%r4], %b{bits}, [%r1];"
    )
    text = f"""{_HEAD}.visible .entry k(.param .u64 to, .param .u64 from) {{
    .reg .b32 %r<9>, %b32; .reg .b64 %d<9>, %b64; .reg .pred %p, %q;
    .shared .align 128 .b8 s[{size}]; .shared .align 128 .b8 o[{size}]; .shared .align 8 .b64 bar;
    ld.param.u64 %d0, [to]; ld.param.u64 %d1, [from]; mov.u32 %r0, s; mov.u32 %r1, bar; mov.u32 %r2, o;
    mov.u32 %r3, %tid.x; setp.eq.u32 %q, %r3, 0;
    mad.wide.u32 %d0, %r3, {each}, %d0; mad.wide.u32 %d1, %r3, {each}, %d1;
    mad.lo.u32 %r4, %r3, {each}, %r0; mad.lo.u32 %r5, %r3, {each}, %r2;
    ld.global.b{bits} %b{bits}, [%d0]; st.shared.b{bits} [%r4], %b{bits};
    ld.global.b{bits} %b{bits}, [%d1]; st.shared.b{bits} [%r5], %b{bits};
    @%q mbarrier.init.shared.b64 [%r1], 1; @%q mbarrier.arrive.expect_tx.shared.b64 _, [%r1], {size};
    bar.sync 0; {do_it}
    W: mbarrier.try_wait.parity.shared.b64 %p, [%r1], 0; @!%p bra W;
    ld.shared.b{bits} %b{bits}, [%r4]; st.global.b{bits} [%d0], %b{bits}; ret; }}"""
    executor, found = Executor(), old.copy()
    result = executor.launch(executor.load(text), "k", Configuration((1,), (32,), step_limit=9999), (found, b))
    assert (result.code, result.reports) == (0, ())
    assert _same(found, _wanted(op, of, old, b))
