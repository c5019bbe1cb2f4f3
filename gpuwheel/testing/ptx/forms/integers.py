"""Integer arithmetic, also of extended precision (PTX ISA, sections 9.7.1 and 9.7.2).

Sums and products are of 64 unsigned bits, of which the result keeps the lower ones: nothing overflows. `cc` is the
carry flag of the thread, CC.CF.
"""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_ALL = "u16 u32 u64 s16 s32 s64"
_SHORT = "u16 u32 s16 s32"
_CARRYING = "u32 s32 u64 s64"
_UNSIGNED = "(unsigned_{type})"


def _extended(
    operation: str, section: str, total: str, carry: str, *, operands: str, part: str = ""
) -> tuple[Row, ...]:
    """`add.cc`, `addc` and `addc.cc`: of the sum in 128 bits, which carries or borrows in bit `bits`."""
    first, then = section.split()
    body = f"const u128 total_ = {total}; d = total_"
    keep = f"cc = {carry}"
    carried = body.replace("CARRIED", "cc")
    syntax = f"{part}.type d, a, b{operands}, cc:u32"
    chosen = {"type": _CARRYING} | ({"part": "lo hi"} if part else {})
    return (
        row(
            f"{operation}{part}.cc.type d, a, b{operands}, cc:u32",
            first,
            f"{body.replace('CARRIED', '0')}; {keep}",
            **chosen,
        ),
        row(f"{operation}c{syntax}", then, carried, **chosen),
        row(f"{operation}c{part}.cc.type d, a, b{operands}, cc:u32", then, f"{carried}; {keep}", **chosen),
    )


_CARRY = "(total_ >> bits_{type}) & 1"
_PRODUCT = f"{_UNSIGNED}part_{{part}}((wide_{{type}})a * b, bits_{{type}})"

ROWS: tuple[Row, ...] = (
    row("add.type d, a, b", "9.7.1.1", "d = (u64)a + (u64)b", type=f"{_ALL} u16x2 s16x2"),
    row("add.sat.type d, a, b", "9.7.1.1", "d = clamp_s32((s64)a + b)", type="s32"),
    row("sub.type d, a, b", "9.7.1.2", "d = (u64)a - (u64)b", type=_ALL),
    row("sub.sat.type d, a, b", "9.7.1.2", "d = clamp_s32((s64)a - b)", type="s32"),
    row("mul.lo.type d, a, b", "9.7.1.3", "d = (u64)a * (u64)b", type=_ALL),
    row("mul.hi.type d, a, b", "9.7.1.3", "d = part_hi((wide_{type})a * b, bits_{type})", type=_ALL),
    row("mul.wide.type d:wide, a, b", "9.7.1.3", "d = (wide_{type})a * b", type=_SHORT),
    row("mad.lo.type d, a, b, c", "9.7.1.4", "d = (u64)a * (u64)b + (u64)c", type=_ALL),
    row("mad.hi.type d, a, b, c", "9.7.1.4", "d = (u64)part_hi((wide_{type})a * b, bits_{type}) + (u64)c", type=_ALL),
    row("mad.wide.type d:wide, a, b, c:wide", "9.7.1.4", "d = (u64)((wide_{type})a * b) + (u64)c", type=_SHORT),
    row("mad.hi.sat.type d, a, b, c", "9.7.1.4", "d = clamp_s32(part_hi((s64)a * b, 32) + c)", type="s32"),
    row(
        "mul24.part.type d, a, b",
        "9.7.1.5",
        "d = part24_{part}(low24_{type}(a) * low24_{type}(b))",
        part="lo hi",
        type="u32 s32",
    ),
    row(
        "mad24.part.type d, a, b, c",
        "9.7.1.6",
        "d = part24_{part}(low24_{type}(a) * low24_{type}(b)) + (u32)c",
        part="lo hi",
        type="u32 s32",
    ),
    row(
        "mad24.hi.sat.type d, a, b, c",
        "9.7.1.6",
        "d = clamp_s32((s64)(s32)part24_hi(low24_s32(a) * low24_s32(b)) + c)",
        type="s32",
    ),
    row("sad.type d, a, b, c", "9.7.1.7", "d = (u64)c + (a < b ? (u64)b - (u64)a : (u64)a - (u64)b)", type=_ALL),
    row("div.type d, a, b", "9.7.1.8", "d = divide_{type}(a, b)", type=_ALL),
    row("rem.type d, a, b", "9.7.1.9", "d = remainder_{type}(a, b)", type=_ALL),
    row("abs.type d, a", "9.7.1.10", "d = a < 0 ? 0 - (u64)a : (u64)a", type="s16 s32 s64"),
    row("neg.type d, a", "9.7.1.11", "d = 0 - (u64)a", type="s16 s32 s64"),
    row("min.type d, a, b", "9.7.1.12", "d = a < b ? a : b", type=f"{_ALL} u16x2 s16x2"),
    row("max.type d, a, b", "9.7.1.13", "d = a > b ? a : b", type=f"{_ALL} u16x2 s16x2"),
    row("min.relu.type d, a, b", "9.7.1.12", "d = a < 0 || b < 0 ? 0 : a < b ? a : b", type="s16x2 s32"),
    row("max.relu.type d, a, b", "9.7.1.13", "d = a < 0 && b < 0 ? 0 : a > b ? a : b", type="s16x2 s32"),
    row(
        "dp4a.atype.btype d:u32, a:b32, b:b32, c:u32",
        "9.7.1.23",
        "d = c + byte_{atype}(a, 0) * byte_{btype}(b, 0) + byte_{atype}(a, 1) * byte_{btype}(b, 1)"
        " + byte_{atype}(a, 2) * byte_{btype}(b, 2) + byte_{atype}(a, 3) * byte_{btype}(b, 3)",
        atype="u32 s32",
        btype="u32 s32",
    ),
    row(
        "dp2a.part.atype.btype d:u32, a:b32, b:b32, c:u32",
        "9.7.1.24",
        "d = c + half_{atype}(a, 0) * byte_{btype}(b, bytes_{part})"
        " + half_{atype}(a, 1) * byte_{btype}(b, bytes_{part} + 1)",
        part="lo hi",
        atype="u32 s32",
        btype="u32 s32",
    ),
    *_extended("add", "9.7.2.1 9.7.2.2", f"(u128){_UNSIGNED}a + {_UNSIGNED}b + CARRIED", _CARRY, operands=""),
    *_extended("sub", "9.7.2.3 9.7.2.4", f"(u128){_UNSIGNED}a - {_UNSIGNED}b - CARRIED", _CARRY, operands=""),
    *_extended(
        "mad",
        "9.7.2.5 9.7.2.6",
        f"(u128){_PRODUCT} + {_UNSIGNED}c + CARRIED",
        _CARRY,
        operands=", c",
        part=".part",
    ),
)
