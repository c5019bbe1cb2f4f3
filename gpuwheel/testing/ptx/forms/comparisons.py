"""Comparison and selection (PTX ISA, sections 9.7.6 and 9.7.7)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_FLOAT_CMP = "eq ne lt le gt ge equ neu ltu leu gtu geu num nan"
_BOOLOP = "and or xor"
# Which comparisons there are of which integers.
_INTEGERS = {
    "b16 b32 b64": "eq ne",
    "s16 s32 s64": "eq ne lt le gt ge",
    "u16 u32 u64": "eq ne lt le gt ge lo ls hi hs",
}
_SELECTED = "b16 b32 b64 u16 u32 u64 s16 s32 s64 f32 f64"


def _compared(types: str, cmp: str, found: str, flush: str = "") -> tuple[Row, ...]:
    """`setp` and `set` of these types; `found` says whether the comparison holds."""
    truth = f"const u8 found_ = {found}; d = truth_{{dtype}}(combine_{{boolop}}(found_, c))"
    sets = {"cmp": cmp, "boolop": _BOOLOP, "type": types}
    tail = ".dtype.type d:{dtype}, a, b, c:pred?"
    return (
        row(
            f"setp.cmp{{.boolop}}{flush}.type p:pred|q:pred, a, b, c:pred?",
            "9.7.6.2",
            f"const u8 found_ = {found}; p = combine_{{boolop}}(found_, c); q = combine_{{boolop}}(!found_, c)",
            **sets,
        ),
        row(f"set.cmp{{.boolop}}{flush}{tail}", "9.7.6.1", truth, dtype="u32 s32 f32", **sets),
        row(f"set.cmp{{.boolop}}{flush}{tail}", "9.7.7.1", truth, dtype="f16", **sets),
        row(f"set.cmp{{.boolop}}{tail}", "9.7.7.1", truth.replace("{ftz}", ""), dtype="bf16", **sets),
    )


def _half(name: str, flush: str) -> tuple[Row, ...]:
    """Of one half, and of both halves of a register."""
    # bf16 has no .ftz, and so no set of that name.
    ftz = "{ftz}" if flush else ""
    each = f"float_{{cmp}}({name}_{ftz}(a), {name}_{ftz}(b))"
    low, high = (
        f"float_{{cmp}}({name}_{ftz}({half}_{name}x2(a)), {name}_{ftz}({half}_{name}x2(b)))" for half in ("low", "high")
    )
    pair = f"const u8 low_ = {low}, high_ = {high};"
    return (
        row(
            f"setp.cmp{{.boolop}}{flush}.{name} p:pred, a, b, c:pred?",
            "9.7.7.2",
            f"p = combine_{{boolop}}({each}, c)",
            cmp=_FLOAT_CMP,
            boolop=_BOOLOP,
        ),
        row(
            f"setp.cmp{{.boolop}}{flush}.{name}x2 p:pred|q:pred, a:b32, b:b32, c:pred?",
            "9.7.7.2",
            f"{pair} p = combine_{{boolop}}(low_, c); q = combine_{{boolop}}(high_, c)",
            cmp=_FLOAT_CMP,
            boolop=_BOOLOP,
        ),
        row(
            f"set.cmp{{.boolop}}{flush}.dtype.{name} d:{{dtype}}, a, b, c:pred?",
            "9.7.7.1",
            f"d = truth_{{dtype}}(combine_{{boolop}}({each}, c))",
            cmp=_FLOAT_CMP,
            boolop=_BOOLOP,
            dtype=f"u16 s16 u32 s32 {name}",
        ),
        row(
            f"set.cmp{{.boolop}}{flush}.dtype.{name}x2 d:b32, a:b32, b:b32, c:pred?",
            "9.7.7.1",
            f"{pair} d = two_halves(half_truth_{{dtype}}(combine_{{boolop}}(high_, c)),"
            " half_truth_{dtype}(combine_{boolop}(low_, c)))",
            cmp=_FLOAT_CMP,
            boolop=_BOOLOP,
            dtype=f"{name}x2 u32 s32",
        ),
    )


ROWS: tuple[Row, ...] = (
    *(found for types, cmp in _INTEGERS.items() for found in _compared(types, cmp, "is_{cmp}(a, b)")),
    *_compared("f32", _FLOAT_CMP, "float_{cmp}({ftz}(a), {ftz}(b))", "{.ftz}"),
    *_compared("f64", _FLOAT_CMP, "float_{cmp}(a, b)"),
    *_half("f16", "{.ftz}"),
    *_half("bf16", ""),
    row("selp.type d, a, b, c:pred", "9.7.6.3", "d = c ? a : b", type=_SELECTED),
    row("slct.type.s32 d, a, b, c:s32", "9.7.6.4", "d = c >= 0 ? a : b", type=_SELECTED),
    row("slct{.ftz}.type.f32 d, a, b, c:f32", "9.7.6.4", "d = {ftz}(c) >= 0 ? a : b", type=_SELECTED),
)
