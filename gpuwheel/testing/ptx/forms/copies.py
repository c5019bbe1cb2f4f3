"""Copies that end later, and mbarrier objects (PTX ISA, sections 9.7.9.25 and 9.7.13.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.form_rows import Row, row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS"]

_HINTS = {"hint": "L2::cache_hint", "prefetch": "L2::64B L2::128B L2::256B", "shared": "shared shared::cta"}
_BARRIER = {
    "sem": "release relaxed acquire",
    "scope": "cta cluster",
    "shared": "shared shared::cta shared::cluster",
}


def _copies() -> Iterator[Row]:
    # Without a size of the source all of it is copied; what is missing there is filled with zeros.
    whole = "copy_later(w, i, lane, a, b, n, {has_m} ? m : n)"
    for cop in ("ca", "cg"):
        head = f"cp.async.{cop}.shared.global{{.hint}}{{.prefetch}}"
        yield row(f"{head} [a], [b], n:u32, m:u32?, policy:b64?", "9.7.9.25.3.1", whole, **_HINTS)
    yield row("cp.async.commit_group", "9.7.9.25.3.2", "copies_commit(w, lane)")
    yield row("cp.async.wait_group n:u32", "9.7.9.25.3.3", "copies_wait(w, i, lane, n)")
    yield row("cp.async.wait_all", "9.7.9.25.3.3", "copies_wait_all(w, i, lane)")
    # Its copies arrive at the barrier when they end: here they end now, and the arrival was counted before or is not.
    for noinc, count in (("", 0), (".noinc", 1)):
        yield row(
            f"cp.async.mbarrier.arrive{noinc}{{.shared}}.b64 [a]",
            "9.7.13.15.17",
            f"copies_wait_all(w, i, lane); (void)barrier_arrive(w, i, lane, a, {count}, 0, 0)",
            **_BARRIER,
        )


def _barriers() -> Iterator[Row]:
    middle = "{.sem}{.scope}{.shared}"
    one = "{has_c} ? c : 1"
    yield row("mbarrier.init{.shared}.b64 [a], c:u32", "9.7.13.15.9", "barrier_init(w, i, lane, a, c)", **_BARRIER)
    yield row("mbarrier.inval{.shared}.b64 [a]", "9.7.13.15.10", "(void)a", **_BARRIER)
    for name, drop in (("arrive", "0"), ("arrive_drop", one)):
        yield row(
            f"mbarrier.{name}{middle}.b64 d, [a], c:u32?",
            "9.7.13.15.13",
            f"d = barrier_arrive(w, i, lane, a, {one}, 0, {drop})",
            **_BARRIER,
        )
        yield row(
            f"mbarrier.{name}.noComplete{middle}.b64 d, [a], c:u32",
            "9.7.13.15.13",
            f"d = barrier_arrive(w, i, lane, a, c, 0, {drop})",
            **_BARRIER,
        )
        yield row(
            f"mbarrier.{name}.expect_tx{middle}.b64 d, [a], c:u32",
            "9.7.13.15.13",
            f"d = barrier_arrive(w, i, lane, a, 1, (s32)c, {'1' if drop != '0' else '0'})",
            **_BARRIER,
        )
    for name, sign in (("expect_tx", ""), ("complete_tx", "-")):
        yield row(
            f"mbarrier.{name}{middle}.b64 [a], c:u32",
            "9.7.13.15.11",
            f"(void)barrier_arrive(w, i, lane, a, 0, {sign}(s32)c, 0)",
            **_BARRIER,
        )
    for name in ("test_wait", "try_wait"):
        yield row(
            f"mbarrier.{name}{middle}.b64 p:pred, [a], c:b64, hint:u32?",
            "9.7.13.15.16",
            "p = (u8)barrier_passed(w, i, lane, a, c)",
            **_BARRIER,
        )
        yield row(
            f"mbarrier.{name}.parity{middle}.b64 p:pred, [a], c:u32, hint:u32?",
            "9.7.13.15.16",
            "p = (u8)barrier_passed_parity(w, i, lane, a, c)",
            **_BARRIER,
        )
    yield row("mbarrier.pending_count.b64 d:u32, a:b64", "9.7.13.15.18", "d = barrier_pending(a)")


ROWS = (*_copies(), *_barriers())
