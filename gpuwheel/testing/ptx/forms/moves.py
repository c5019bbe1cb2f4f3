"""`mov`, also of several registers into one and out of one (PTX ISA, sections 9.7.9.3 and 9.7.9.4)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_PARTS = (
    ("b16", 2, "b8"),
    ("b32", 4, "b8"),
    ("b32", 2, "b16"),
    ("b64", 2, "b32"),
    ("b64", 4, "b16"),
    ("b128", 2, "b64"),
)


def _packed(whole: str, count: int, part: str) -> tuple[Row, Row]:
    width, c_type = int(part[1:]), f"u{whole[1:]}"
    together = " | ".join(f"({c_type})a{index} << {width * index}" for index in range(count))
    apart = "; ".join(f"d{index} = ({c_type})a >> {width * index}" for index in range(count))
    return (
        row(f"mov.{whole} d, a[{count}]:{part}", "9.7.9.4", f"d = {together}"),
        row(f"mov.{whole} d[{count}]:{part}, a", "9.7.9.4", apart),
    )


ROWS: tuple[Row, ...] = (
    row(
        "mov.type d, a",
        "9.7.9.3",
        "d = a",
        type="pred b16 b32 b64 b128 u16 u32 u64 s16 s32 s64 f32 f64",
    ),
    *(found for each in _PARTS for found in _packed(*each)),
)
