"""Operations that end later, in bulk too, and mbarrier objects (PTX ISA, 9.7.9.12, 9.7.9.25, 9.7.13.7, 9.7.13.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.form_rows import Row, row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS"]

_HINTS = {"prefetch": "L2::64B L2::128B L2::256B", "shared": "shared shared::cta"}
_OWN = {"shared": "shared shared::cta"}
_BARRIER = {"scope": "cta cluster", "shared": "shared shared::cta shared::cluster"}
_ARRIVES = {**_BARRIER, "sem": "release relaxed"}
_WAITS = {**_BARRIER, **_OWN, "sem": "acquire relaxed"}
_TOLD = "mbarrier::complete_tx::bytes"
_CACHED = {"hint": "L2::cache_hint"}
_WIDTHS = {"b32": "b32 u32 s32 f32", "b64": "b64 u64 s64 f64"}
# Which types each operation has: of what an mbarrier tells, and of global memory.
_TOLD_TYPES = {"and": "b32", "or": "b32", "xor": "b32", "inc": "u32", "dec": "u32", "min": "u32 s32", "max": "u32 s32"}
_OF_SHARED = {**_TOLD_TYPES, "add": "u32 s32 u64"}
_OF_GLOBAL = {
    **dict.fromkeys(("and", "or", "xor"), "b32 b64"),
    **dict.fromkeys(("inc", "dec"), "u32"),
    **dict.fromkeys(("min", "max"), "u32 s32 u64 s64 f16 bf16"),
    "add": "u32 s32 u64 f32 f64",
}


def _copies() -> Iterator[Row]:
    # Without a size of the source all of it is copied; what is missing there is filled with zeros, as what is ignored.
    sources = {"": "n", ", m:u32": "m", ", ignored:pred": "ignored ? 0 : n"}
    for cop in ("ca", "cg"):
        for source, size in sources.items():
            copied = f"copy_later(w, i, lane, a, b, n, {size})"
            for hint, policy in (("", ""), (".L2::cache_hint", ", policy:b64")):
                head = f"cp.async.{cop}.shared.global{hint}{{.prefetch}}"
                yield row(f"{head} [a], [b], n:u32{source}{policy}", "9.7.9.25.3.1", copied, **_HINTS)
    yield row("cp.async.commit_group", "9.7.9.25.3.2", "copies_commit(w, lane)")
    yield row("cp.async.wait_group n:u32", "9.7.9.25.3.3", "copies_wait(w, i, lane, n)")
    yield row("cp.async.wait_all", "9.7.9.25.3.3", "copies_wait_all(w, i, lane)")
    # Its copies arrive at the barrier when they end: here they end now, and the arrival was counted before or is not.
    for noinc, count in (("", 0), (".noinc", 1)):
        yield row(
            f"cp.async.mbarrier.arrive{noinc}{{.shared}}.b64 [a]",
            "9.7.13.15.17",
            f"copies_wait_all(w, i, lane); (void)barrier_arrive(w, i, lane, a, {count}, 0, 0)",
            **_OWN,
        )


def _barriers() -> Iterator[Row]:
    middle = "{.sem}{.scope}{.shared}"
    one = "{has_c} ? c : 1"
    yield row("mbarrier.init{.shared}.b64 [a], c:u32", "9.7.13.15.9", "barrier_init(w, i, lane, a, c)", **_OWN)
    yield row("mbarrier.inval{.shared}.b64 [a]", "9.7.13.15.10", "(void)a", **_OWN)
    for name, drop in (("arrive", "0"), ("arrive_drop", one)):
        yield row(
            f"mbarrier.{name}{middle}.b64 d, [a], c:u32?",
            "9.7.13.15.13",
            f"d = barrier_arrive(w, i, lane, a, {one}, 0, {drop})",
            **_ARRIVES,
        )
        yield row(
            f"mbarrier.{name}.noComplete{{.release}}{{.cta}}{{.shared}}.b64 d, [a], c:u32",
            "9.7.13.15.13",
            f"d = barrier_arrive(w, i, lane, a, c, 0, {drop})",
            **_OWN,
        )
        yield row(
            f"mbarrier.{name}.expect_tx{middle}.b64 d, [a], c:u32",
            "9.7.13.15.13",
            f"d = barrier_arrive(w, i, lane, a, 1, (s32)c, {'1' if drop != '0' else '0'})",
            **_ARRIVES,
        )
    for name, sign in (("expect_tx", ""), ("complete_tx", "-")):
        yield row(
            f"mbarrier.{name}{{.relaxed}}{{.scope}}{{.shared}}.b64 [a], c:u32",
            "9.7.13.15.11",
            f"(void)barrier_arrive(w, i, lane, a, 0, {sign}(s32)c, 0)",
            **_BARRIER,
        )
    for name in ("test_wait", "try_wait"):
        yield row(
            f"mbarrier.{name}{middle}.b64 p:pred, [a], c:b64, hint:u32?",
            "9.7.13.15.16",
            "p = (u8)barrier_passed(w, i, lane, a, c)",
            **_WAITS,
        )
        yield row(
            f"mbarrier.{name}.parity{middle}.b64 p:pred, [a], c:u32, hint:u32?",
            "9.7.13.15.16",
            "p = (u8)barrier_passed_parity(w, i, lane, a, c)",
            **_WAITS,
        )
    yield row("mbarrier.pending_count.b64 d:u32, a:b64", "9.7.13.15.18", "d = barrier_pending(a)")


def _bulk_copies() -> Iterator[Row]:
    head, section = "cp.async.bulk", "9.7.9.25.4.1"
    yield row(
        f"{head}.to.global.{_TOLD}{{.hint}} [a], [b], n:u32, [m], policy:b64?",
        section,
        "later_to_shared(w, i, lane, a, b, n, m, 0)",
        to="shared::cta shared::cluster",
        **_CACHED,
    )
    yield row(
        f"{head}.shared::cluster.global.{_TOLD}.multicast::cluster{{.hint}} [a], [b], n:u32, [m], mask:b16,"
        " policy:b64?",
        section,
        "later_to_shared(w, i, lane, a, b, n, m, MANY_BLOCKS | mask)",
        **_CACHED,
    )
    yield row(
        f"{head}.shared::cluster.shared::cta.{_TOLD} [a], [b], n:u32, [m]",
        section,
        "later_across(w, i, lane, a, b, n, m, COPIED, OF_b32)",
    )
    store = "later_to_global(w, i, lane, a, b, n, {}, COPIED, OF_b32)"
    group = f"{head}.global.shared::cta.bulk_group"
    yield row(f"{group}{{.hint}} [a], [b], n:u32, policy:b64?", section, store.format("0xffff"), **_CACHED)
    yield row(f"{group}.cp_mask [a], [b], n:u32, mask:b16", section, store.format("mask"))
    yield row(f"{group}.hint.cp_mask [a], [b], n:u32, policy:b64, mask:b16", section, store.format("mask"), **_CACHED)
    yield row(f"{head}.prefetch.L2.global{{.hint}} [a], n:u32, policy:b64?", "9.7.9.25.4.3", "(void)a", **_CACHED)
    yield row(f"{head}.commit_group", "9.7.9.25.6.1", "later_commit(w, lane)")
    yield row(f"{head}.wait_group{{.read}} n:u32", "9.7.9.25.6.2", "later_wait(w, lane, n)")


def _reductions() -> Iterator[Row]:
    section = "9.7.9.25.4.2"
    for op, types in _OF_SHARED.items():
        yield row(
            f"cp.reduce.async.bulk.shared::cluster.shared::cta.{_TOLD}.{op}.type [a], [b], n:u32, [m]",
            section,
            f"later_across(w, i, lane, a, b, n, m, REDUCE_{op}, OF_{{type}})",
            type=types,
        )
    group = "cp.reduce.async.bulk.global.shared::cta.bulk_group{.hint}"
    for op, types in _OF_GLOBAL.items():
        meaning = f"later_to_global(w, i, lane, a, b, n, 0xffff, REDUCE_{op}, OF_{{type}})"
        yield row(f"{group}.{op}.type [a], [b], n:u32, policy:b64?", section, meaning, type=types, **_CACHED)
        if op == "add":
            halves = f"{group}.add.noftz.type [a], [b], n:u32, policy:b64?"
            yield row(halves, section, meaning, type="f16 bf16", **_CACHED)


def _values() -> Iterator[Row]:
    """`st.async` and `red.async`."""
    for of, types in _WIDTHS.items():
        for count in (1, 2, 4) if of == "b32" else (1, 2):
            vector, many = (f".v{count}", f"[{count}]") if count > 1 else ("", "")
            names = ", ".join(f"b{index}" for index in range(count)) if count > 1 else "b"
            yield row(
                f"st.async{{.weak}}.shared::cluster.{_TOLD}{vector}.type [a], b{many}:{of}, [m]",
                "9.7.9.12",
                f"const u{of[1:]} all_[] = {{{{{names}}}}};"
                " later_value(w, i, lane, a, all_, sizeof all_, m, COPIED, OF_b32)",
                type=types,
            )
    for op, types in _OF_SHARED.items():
        yield row(
            f"red.async.relaxed.cluster.shared::cluster.{_TOLD}.{op}.type [a], b, [m]",
            "9.7.13.7",
            f"later_value(w, i, lane, a, &b, sizeof b, m, REDUCE_{op}, OF_{{type}})",
            type=types,
        )
    # To global memory nobody is told: they are done at once.
    for space, look_up in ((".global", "at_global"), ("", "at_generic")):
        head = f"{{.mmio}}.release.scope{space}"
        scopes = {"scope": "gpu sys"}
        order = "STRONG | RELEASE"
        yield row(
            f"st.async{head}.type [a], b",
            "9.7.9.12",
            f"u8* const at_ = {look_up}(w, i, lane, a, sizeof b, sizeof b, (Access)(WRITE | {order}));"
            " if (likely(at_ != NULL)) memcpy(at_, &b, sizeof b)",
            type="b8 u8 s8 b16 u16 s16 b32 u32 s32 b64 u64 s64 f32 f64",
            **scopes,
        )
        yield row(
            f"red.async{head}.add.type [a], b",
            "9.7.13.7",
            f"unsigned_{{type}} d; UPDATE({look_up}, ATOMIC | {order}, unsigned_{{type}}, d, old + (u64)b); (void)d",
            type="u32 s32 u64 s64",
            **scopes,
        )


def _more_blocks() -> Iterator[Row]:
    """To do the work of a block that has not begun: here they all begin by themselves, and none can be had."""
    head = "clusterlaunchcontrol"
    yield row(
        f"{head}.try_cancel.async{{.shared}}.{_TOLD}{{.multicast::cluster::all}}.b128 [a], [m]",
        "9.7.13.17.1",
        "later_value(w, i, lane, a, zeros, 16, m, COPIED, OF_b32)",
        shared="shared::cta",
    )
    yield row(f"{head}.query_cancel.is_canceled.pred.b128 p:pred, a", "9.7.13.17.2", "p = a != 0")
    for which in "xyz":
        syntax = f"{head}.query_cancel.get_first_ctaid::{which}.b32.b128 d:b32, a:b128"
        yield row(syntax, "9.7.13.17.2", "(void)a; d = 0")
    syntax = f"{head}.query_cancel.get_first_ctaid.v4.b32.b128 d[4]:b32, a:b128"
    yield row(syntax, "9.7.13.17.2", "(void)a; d0 = d1 = d2 = d3 = 0")


ROWS = (
    *_copies(),
    *_more_blocks(),
    *_barriers(),
    *_bulk_copies(),
    *_reductions(),
    *_values(),
    *(
        row(
            f"st.bulk{{.weak}}{space} [a], n:u64, c:u64",
            "9.7.9.13",
            f"(void)c; u8* const at_ = {look_up}(w, i, lane, a, n >> 32 ? ~0u : (u32)n, 8, WRITE); "
            "if (at_) memset(at_, 0, (u32)n)",
        )
        for space, look_up in ((".shared::cta", "at_shared"), ("", "at_generic"))
    ),
)
