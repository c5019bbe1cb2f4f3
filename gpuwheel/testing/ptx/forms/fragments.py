"""Matrices across a warp whose layout is not said: `wmma` (PTX ISA, section 9.7.14.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.form_rows import Row, warp_row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS"]

_LANES = 32
# Rows of A, columns of B, and what is between.
_LARGE = ((16, 16, 16), (8, 32, 16), (32, 8, 16))
_BYTES = {"f16": 2, "bf16": 2, "tf32": 4, "f32": 4, "f64": 8, "s8": 1, "u8": 1, "s32": 4}
# A shape, the type of A and B, those of C and D.
_PRODUCTS = (
    *((shape, of, ("s32",)) for shape in _LARGE for of in ("s8", "u8")),
    *((shape, "bf16", ("f32",)) for shape in _LARGE),
    *((shape, "f16", ("f32", "f16")) for shape in _LARGE),
    ((16, 16, 8), "tf32", ("f32",)),
    ((8, 8, 4), "f64", ("f64",)),
)
_SPACES = {"space": "global shared shared::cta"}


def _registers(of: str, rows: int, columns: int, *, factor: bool) -> int:
    # Of f16 every lane holds eight pairs of A and B, whatever the shape.
    if of == "f16" and factor:
        return 8
    return max(1, rows * columns * _BYTES[of] // max(4, _BYTES[of]) // _LANES)


def _fragment(
    of: str, rows: int, columns: int, *, factor: bool, layout: str = "row", size: str = "8"
) -> tuple[str, int]:
    count = _registers(of, rows, columns, factor=factor)
    return f"(Fragment){{{{ELEMENT_{of.upper()}, {rows}, {columns}, {count}, {int(layout == 'col')}, {size}}}}}", count


def _bits(of: str) -> str:
    return f"b{max(32, 8 * _BYTES[of])}"


def _moves(shape: tuple[int, int, int], of: str, results: tuple[str, ...]) -> Iterator[Row]:
    rows, columns, inner = shape
    name = f"m{rows}n{columns}k{inner}"
    parts = [("a", of, rows, inner), ("b", of, inner, columns), *(("c", result, rows, columns) for result in results)]
    for layout in ("row", "col"):
        for part, element, high, wide in parts:
            sizes = (element, high, wide)
            fragment, count = _fragment(*sizes, factor=part != "c", layout=layout, size="{size_a}")
            registers = f"[{count}]:{_bits(element)}"
            yield warp_row(
                f"wmma.load.{part}.sync.aligned.{layout}.{name}{{.space}}.{element} d{registers}, [a], n:u32?",
                "9.7.14.4.3",
                f"wmma_load(w, i, on, {fragment})",
                **_SPACES,
            )
            if part == "c":
                yield warp_row(
                    f"wmma.store.d.sync.aligned.{layout}.{name}{{.space}}.{element} [a], b{registers}, n:u32?",
                    "9.7.14.4.4",
                    f"wmma_store(w, i, on, {fragment})",
                    **_SPACES,
                )


def _products(shape: tuple[int, int, int], of: str, results: tuple[str, ...]) -> Iterator[Row]:
    rows, columns, inner = shape
    # Floating point of 16 bits names D and C; the others name all four.
    names = [(f"{d}.{c}", d, c) for d in results for c in results] if of == "f16" else []
    if of != "f16":
        names = [(f"{results[0]}.{of}.{of}.{results[0]}", results[0], results[0])]
    rounded, limited = "{.rnd}" if of == "f64" else "", "{.satfinite}" if of in {"s8", "u8"} else ""
    saturates = 'sizeof "{satfinite}" > 1' if limited else "0"
    for types, d, c in names:
        sizes = (
            (d, rows, columns, False),
            (of, rows, inner, True),
            (of, inner, columns, True),
            (c, rows, columns, False),
        )
        made = [_fragment(element, high, wide, factor=factor) for element, high, wide, factor in sizes]
        operands = ", ".join(
            f"{letter}[{count}]:{_bits(size[0])}" for letter, (_, count), size in zip("dabc", made, sizes, strict=True)
        )
        fragments = ", ".join(text for text, _ in made)
        for layout_a in ("row", "col"):
            for layout_b in ("row", "col"):
                head = f"wmma.mma.sync.aligned.{layout_a}.{layout_b}.m{rows}n{columns}k{inner}"
                yield warp_row(
                    f"{head}{rounded}.{types}{limited} {operands}",
                    "9.7.14.4.5",
                    f"wmma(w, i, on, {fragments}, {saturates})",
                    rnd="rn",
                )


ROWS = tuple(found for product in _PRODUCTS for make in (_moves, _products) for found in make(*product))
