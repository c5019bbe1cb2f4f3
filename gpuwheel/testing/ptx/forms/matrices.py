"""Matrices across a warp (PTX ISA, section 9.7.14): `mma` of the shapes of sm_75 to sm_90, `ldmatrix`, `stmatrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.form_rows import Row, warp_row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS"]

_LANES = 32
_COLUMNS = 8
_BITS = {
    "f16": 16,
    "bf16": 16,
    "tf32": 32,
    "e4m3": 8,
    "e5m2": 8,
    "f32": 32,
    "f64": 64,
    "s8": 8,
    "u8": 8,
    "s4": 4,
    "u4": 4,
    "b1": 1,
    "s32": 32,
}
# Rows of A, its columns, the types of A and B, the types of D and C that there are (section 9.7.14.5).
_SHAPES = (
    *((16, inner, (of,), (of,), (("f32", "f32"),)) for inner in (8, 16) for of in ("bf16",)),
    *((16, inner, ("f16",), ("f16",), (("f32", "f32"), ("f16", "f16"))) for inner in (8, 16)),
    *((16, inner, ("tf32",), ("tf32",), (("f32", "f32"),)) for inner in (4, 8)),
    *((16, inner, ("e4m3", "e5m2"), ("e4m3", "e5m2"), (("f32", "f32"), ("f16", "f16"))) for inner in (16, 32)),
    (8, 4, ("f64",), ("f64",), (("f64", "f64"),)),
    *((16, inner, ("f64",), ("f64",), (("f64", "f64"),)) for inner in (4, 8, 16)),
    (8, 16, ("s8", "u8"), ("s8", "u8"), (("s32", "s32"),)),
    *((16, inner, ("s8", "u8"), ("s8", "u8"), (("s32", "s32"),)) for inner in (16, 32)),
    (8, 32, ("s4", "u4"), ("s4", "u4"), (("s32", "s32"),)),
    *((16, inner, ("s4", "u4"), ("s4", "u4"), (("s32", "s32"),)) for inner in (32, 64)),
)
_SINGLE_BITS = ((8, 128), (16, 128), (16, 256))


def _registers(elements: int, of: str) -> int:
    return max(1, elements * _BITS[of] // max(32, _BITS[of]) // _LANES)


def _row(rows: int, inner: int, types: tuple[str, str, str, str], middle: str = "", operation: str = "*") -> Row:
    """`types` of D, A, B and C, as the instruction has them at its end."""
    d, a, b, c = types
    counts = (
        _registers(rows * _COLUMNS, d),
        _registers(rows * inner, a),
        _registers(inner * _COLUMNS, b),
        _registers(rows * _COLUMNS, c),
    )
    names = [f"b{max(32, _BITS[of])}" for of in types]
    operands = ", ".join(f"{name}[{count}]:{of}" for name, count, of in zip("dabc", counts, names, strict=True))
    at = [str(sum(counts[:index])) for index in (1, 2, 3)]
    elements = ", ".join(f"ELEMENT_{of.upper()}" for of in types)
    saturate = 'sizeof("{satfinite}") > 1' if "satfinite" in middle else "0"
    return warp_row(
        f"mma.sync.aligned.m{rows}n8k{inner}.row.col{middle}.{d}.{a}.{b}.{c} {operands}",
        "9.7.14.5",
        f"mma(w, i, on, (Mma){{{{{rows}, {inner}, {elements}, {', '.join(at)}, '{operation}', {saturate}}}}})",
    )


def _multiplications() -> Iterator[Row]:
    for rows, inner, of_a, of_b, results in _SHAPES:
        for a in of_a:
            for b in of_b:
                for d, c in results:
                    yield _row(rows, inner, (d, a, b, c), "{.satfinite}" if d == "s32" else "")
    for rows, inner in _SINGLE_BITS:
        for name, sign in (("xor", "^"), ("and", "&")):
            found = _row(rows, inner, ("s32", "b1", "b1", "s32"), "", sign)
            yield warp_row(
                f"{found.syntax.split(' ')[0]}.{name}.popc {found.syntax.split(' ', 1)[1]}",
                found.section,
                found.meaning,
            )


def _moves() -> Iterator[Row]:
    for count in (1, 2, 4):
        for space in ("", ".shared", ".shared::cta"):
            for transposed in ("", ".trans"):
                what = f"(w, i, on, {count}, {int(bool(transposed))}, {{size_a}})"
                shape = f".sync.aligned.m8n8.x{count}{transposed}{space}.b16"
                yield warp_row(f"ldmatrix{shape} d[{count}]:b32, [a]", "9.7.14.5.15", f"load_matrix{what}")
                yield warp_row(f"stmatrix{shape} [a], b[{count}]:b32", "9.7.14.5.16", f"store_matrix{what}")
    yield warp_row("movmatrix.sync.aligned.m8n8.trans.b16 d:b32, a:b32", "9.7.14.5.17", "move_matrix(w, i, on)")


ROWS = (*_multiplications(), *_moves())
