"""Addresses of state spaces, order of memory, hints; and what the assembler adds by itself (PTX ISA, 9.7.9, 9.7.13)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import row, warp_row

__all__ = ["ROWS"]

_SCOPES = "cta cluster gpu sys"
_PLAIN = "global local const param param::entry"
_NOTHING = "(void)lane"
_FENCE = "(void)i, check_fence(w, on)"

ROWS = (
    # Generic addresses are those of the host: only shared memory has offsets of its own.
    row("cvta.space.size d:b64, a:b64", "9.7.9.21", "d = a", space=_PLAIN, size="u64"),
    row("cvta.to.space.size d:b64, a:b64", "9.7.9.21", "d = a", space=_PLAIN, size="u64"),
    row("cvta.shared.u64 d:b64, a:b64", "9.7.9.21", "d = generic_of_shared(w, a)"),
    row("cvta.shared::cta.u64 d:b64, a:b64", "9.7.9.21", "d = generic_of_shared(w, a)"),
    row("cvta.shared::cluster.u64 d:b64, a:b64", "9.7.9.21", "d = generic_of_shared(w, a)"),
    row("cvta.to.shared.u64 d:b64, a:b64", "9.7.9.21", "d = shared_of_generic(w, a)"),
    row("cvta.to.shared::cta.u64 d:b64, a:b64", "9.7.9.21", "d = shared_of_generic(w, a)"),
    row("cvta.to.shared::cluster.u64 d:b64, a:b64", "9.7.9.21", "d = shared_of_generic(w, a)"),
    row("isspacep.shared p:pred, a:b64", "9.7.9.20", "p = space_of(w, lane, a) == IN_SHARED"),
    row("isspacep.shared::cta p:pred, a:b64", "9.7.9.20", "p = space_of(w, lane, a) == IN_SHARED"),
    row(
        "isspacep.shared::cluster p:pred, a:b64",
        "9.7.9.20",
        "p = space_of(w, lane, a) == IN_SHARED || space_of(w, lane, a) == IN_CLUSTER",
    ),
    row("isspacep.local p:pred, a:b64", "9.7.9.20", "p = space_of(w, lane, a) == IN_LOCAL"),
    row("isspacep.param p:pred, a:b64", "9.7.9.20", "p = space_of(w, lane, a) == IN_PARAMETERS"),
    row("isspacep.param::entry p:pred, a:b64", "9.7.9.20", "p = space_of(w, lane, a) == IN_PARAMETERS"),
    row("isspacep.global p:pred, a:b64", "9.7.9.20", "p = space_of(w, lane, a) == IN_GLOBAL"),
    row("isspacep.const p:pred, a:b64", "9.7.9.20", "p = 0"),
    row("mapa{.space}.u32 d, a, b:u32", "9.7.9.24", "d = (a & 0xffffffu) | b << RANK_SHIFT", space="shared::cluster"),
    row(
        "mapa.space.u64 d, a, b:u32", "9.7.9.24", "d = (a & 0xffffffu) | (u64)b << RANK_SHIFT", space="shared::cluster"
    ),
    row(
        "mapa.u64 d, a, b:u32",
        "9.7.9.24",
        "d = generic_of_shared(w, (shared_of_generic(w, a) & 0xffffffu) | (u64)b << RANK_SHIFT)",
    ),
    row("getctarank{.space}.u32 d, a", "9.7.9.25", "d = a >> RANK_SHIFT", space="shared::cluster"),
    row("getctarank.space.u64 d:u32, a:u64", "9.7.9.25", "d = (u32)a >> RANK_SHIFT", space="shared::cluster"),
    row("getctarank.u64 d:u32, a:u64", "9.7.9.25", "d = (u32)shared_of_generic(w, a) >> RANK_SHIFT"),
    # One thread runs at a time: whatever was written is seen. The checks hear of fences.
    warp_row("membar{.proxy}.level", "9.7.13.4", _FENCE, level="cta gl sys alias", proxy="proxy"),
    warp_row("fence{.sem}.scope", "9.7.13.4", _FENCE, sem="sc acq_rel acquire release", scope=_SCOPES),
    row("fence.acquire.sync_restrict::shared::cluster.cluster", "9.7.13.4", _NOTHING),
    row("fence.release.sync_restrict::shared::cta.cluster", "9.7.13.4", _NOTHING),
    row("fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster", "9.7.13.4", _NOTHING),
    row("fence.proxy.async::generic.release.sync_restrict::shared::cta.cluster", "9.7.13.4", _NOTHING),
    row("fence.proxy.tensormap::generic.release.scope", "9.7.13.4", _NOTHING, scope=_SCOPES),
    row("fence.proxy.tensormap::generic.acquire.scope [a], b:u32", "9.7.13.4", "(void)a, (void)b", scope=_SCOPES),
    row("fence.mbarrier_init.release.cluster", "9.7.13.4", _NOTHING),
    row(
        "fence.proxy.kind",
        "9.7.13.4",
        _NOTHING,
        kind="alias async async.global async.shared::cta async.shared::cluster",
    ),
    row(
        "prefetch{.space}.level [a]",
        "9.7.9.16",
        "(void)a",
        space="global local",
        level="L1 L2",
    ),
    row("prefetch.global.evict [a]", "9.7.9.16", "(void)a", evict="L2::evict_last L2::evict_normal"),
    row("prefetch{.space}.tensormap [a]", "9.7.9.16", "(void)a", space="const param"),
    # What is discarded has no value until something is written: here NaN.
    row(
        "discard{.space}.L2 [a], b:u32",
        "9.7.9.18",
        "(void)b; u8* const at_ = at_global(w, i, lane, a, 128, 128, WRITE); if (at_) memset(at_, 0xff, 128)",
        space="global",
    ),
    row(
        "createpolicy.range{.space}.primary{.secondary}.b64 d, [a], b:u32, c:u32",
        "9.7.9.19",
        "(void)a, (void)b, (void)c; d = 0",
        space="global",
        primary="L2::evict_last L2::evict_normal L2::evict_first L2::evict_unchanged",
        secondary="L2::evict_first L2::evict_unchanged",
    ),
    row("createpolicy.cvt.L2.b64 d, a", "9.7.9.19", "(void)a; d = 0"),
    row("prefetchu.L1 [a]", "9.7.9.16", "(void)a"),
    row("applypriority{.space}.L2::evict_normal [a], b:u32", "9.7.9.17", "(void)a, (void)b", space="global"),
    row(
        "createpolicy.fractional.primary{.secondary}.type d, a:f32?",
        "9.7.9.19",
        "(void)a; d = 0",
        primary="L2::evict_last L2::evict_normal L2::evict_first L2::evict_unchanged",
        secondary="L2::evict_first L2::evict_unchanged",
        type="b64",
    ),
    row("nanosleep.u32 a", "9.7.13.16", "(void)a"),
    row("griddepcontrol.what", "9.7.13.14", _NOTHING, what="launch_dependents wait"),
    row("pmevent a:u32", "9.7.19.3", "(void)a"),
    row("pmevent.mask a:u32", "9.7.19.3", "(void)a"),
    row("setmaxnreg.what.sync.aligned.u32 a", "9.7.19.5", "(void)a", what="inc dec"),
    # Added by the assembler, not written in PTX.
    row("address.b64 d, [a]", "5.1.4", "d = a"),
    row("clock.type d", "10.24", "d = clock_of(w)", type="b32 b64"),
    row("clock.hi.b32 d", "10.25", "d = clock_of(w) >> 32"),
    warp_row("vprintf d:u32, a:b64, b:b64", "CUDA C++ guide, formatted output", "print(w, i, on)"),
    warp_row("assertfail a:b64, b:b64, c:u32, e:b64", "CUDA C++ guide, assertion", "assertion(w, i, on)"),
)
