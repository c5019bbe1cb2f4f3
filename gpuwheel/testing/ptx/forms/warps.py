"""What lanes of a warp do together (PTX ISA, sections 9.7.9.6 and 9.7.13)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import warp_row

__all__ = ["ROWS"]

_SHUFFLES = {"up": "u", "down": "d", "bfly": "b", "idx": "i"}
_VOTES = {"all": "a", "any": "y", "uni": "u"}
_REDUCTIONS = {"add": "+", "min": "<", "max": ">", "and": "&", "or": "|", "xor": "^"}

ROWS = (
    *(
        warp_row(
            f"shfl.sync.{mode}.b32 d|p:pred, a, b:u32, c:u32, membermask:u32",
            "9.7.9.6",
            f"shuffle(w, i, on, '{letter}')",
        )
        for mode, letter in _SHUFFLES.items()
    ),
    *(
        warp_row(f"vote.sync.{mode}.pred d, a, membermask:u32", "9.7.13.8", f"vote(w, i, on, '{letter}')")
        for mode, letter in _VOTES.items()
    ),
    warp_row("vote.sync.ballot.b32 d, a:pred, membermask:u32", "9.7.13.8", "vote(w, i, on, 'b')"),
    warp_row("match.any.sync.b32 d, a, membermask:u32", "9.7.13.9", "match_any(w, i, on, 4)"),
    warp_row("match.any.sync.b64 d:u32, a, membermask:u32", "9.7.13.9", "match_any(w, i, on, 8)"),
    warp_row("match.all.sync.b32 d|p:pred, a, membermask:u32", "9.7.13.9", "match_all(w, i, on, 4)"),
    warp_row("match.all.sync.b64 d:u32|p:pred, a, membermask:u32", "9.7.13.9", "match_all(w, i, on, 8)"),
    *(
        warp_row(
            f"redux.sync.{name}.{type_name} d, a, membermask:u32",
            "9.7.13.11",
            f"reduce(w, i, on, '{letter}', {int(type_name == 's32')})",
        )
        for name, letter in _REDUCTIONS.items()
        for type_name in (("u32", "s32") if letter in "+<>" else ("b32",))
    ),
    *(
        warp_row(
            f"redux.sync.{name}{{.abs}}{{.NaN}}.f32 d:b32, a:b32, membermask:u32",
            "9.7.13.11",
            f'reduce_floats(w, i, on, \'{letter}\', sizeof "{{abs}}" > 1, sizeof "{{NaN}}" > 1)',
        )
        for name, letter in (("min", "<"), ("max", ">"))
    ),
    warp_row("elect.sync d:u32|p:pred, membermask:u32", "9.7.13.15", "elect(w, i, on)"),
    warp_row("activemask.b32 d", "9.7.13.10", "active(w, i, on)"),
    warp_row("bar.warp.sync membermask:u32", "9.7.13.2", ""),
)
