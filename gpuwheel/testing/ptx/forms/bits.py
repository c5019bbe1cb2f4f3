"""Bits: logic, shifts, fields and bytes (PTX ISA, sections 9.7.1.14 to 9.7.1.22, 9.7.8 and 9.7.9.7)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_BITS = "b16 b32 b64"
_WORDS = "b32 b64"

ROWS: tuple[Row, ...] = (
    row("popc.type d:u32, a", "9.7.1.14", "d = __builtin_popcountll(a)", type=_WORDS),
    row("clz.type d:u32, a", "9.7.1.15", "d = count_zeros(a, bits_{type})", type=_WORDS),
    row(
        "bfind{.shiftamt}.type d:u32, a",
        "9.7.1.16",
        "const u32 found_ = find_bit_{type}(a); d = place_{shiftamt}(found_, bits_{type})",
        type="u32 u64 s32 s64",
    ),
    row("fns.b32 d, a, b:u32, c:s32", "9.7.1.17", "d = find_nth_set(a, b, c)"),
    row("brev.type d, a", "9.7.1.18", "d = reverse_bits(a, bits_{type})", type=_WORDS),
    row("bfe.type d, a, b:u32, c:u32", "9.7.1.19", "d = extract_{type}(a, b, c)", type="u32 u64 s32 s64"),
    row("bfi.type d, a, b, c:u32, e:u32", "9.7.1.20", "d = insert_bits(a, b, c, e, bits_{type})", type=_WORDS),
    row(
        "szext.mode.type d, a, b:u32",
        "9.7.1.21",
        "d = extend_{type}(a, b, clamps_{mode})",
        mode="clamp wrap",
        type="u32 s32",
    ),
    row("bmsk.mode.b32 d, a:u32, b:u32", "9.7.1.22", "d = mask_bits(a, b, clamps_{mode})", mode="clamp wrap"),
    row("and.type d, a, b", "9.7.8.1", "d = a & b", type=f"pred {_BITS}"),
    row("or.type d, a, b", "9.7.8.2", "d = a | b", type=f"pred {_BITS}"),
    row("xor.type d, a, b", "9.7.8.3", "d = a ^ b", type=f"pred {_BITS}"),
    row("not.pred d, a", "9.7.8.4", "d = !a"),
    row("not.type d, a", "9.7.8.4", "d = ~a", type=_BITS),
    row("cnot.type d, a", "9.7.8.5", "d = a == 0", type=_BITS),
    row("lop3.b32 d, a, b, c, e:u32", "9.7.8.6", "d = look_up_bits(a, b, c, e)"),
    row(
        "lop3.boolop.type d|p:pred, a, b, c, e:u32, f:pred",
        "9.7.8.6",
        "d = look_up_bits(a, b, c, e); p = combine_{boolop}(d != 0, f)",
        boolop="or and",
        type="b32",
    ),
    row(
        "shf.way.mode.b32 d, a, b, c:u32",
        "9.7.8.7",
        "d = funnel_{way}(a, b, funnel_places_{mode}(c))",
        way="l r",
        mode="clamp wrap",
    ),
    row("shl.type d, a, b:u32", "9.7.8.8", "d = shift_left_{type}(a, b)", type=_BITS),
    row(
        "shr.type d, a, b:u32",
        "9.7.8.9",
        "d = b >= bits_{type} ? 0 : a >> (b & (bits_{type} - 1))",
        type=f"{_BITS} u16 u32 u64",
    ),
    row(
        "shr.type d, a, b:u32",
        "9.7.8.9",
        "d = a >> (b >= bits_{type} ? bits_{type} - 1 : b)",
        type="s16 s32 s64",
    ),
    row(
        "prmt.type{.mode} d, a, b, c:u32",
        "9.7.9.7",
        "d = permute_bytes(a, b, selector_{mode}(c))",
        type="b32",
        mode="f4e b4e rc8 ecl ecr rc16",
    ),
)
