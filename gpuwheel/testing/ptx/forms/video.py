"""Video instructions (PTX ISA, section 9.7.18) of whole operands: selectors and masks have no meaning here."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_TYPES = "u32 s32"
_CMP = "eq ne lt le gt ge"
_SCALAR, _SIMD = "9.7.18.1", "9.7.18.2"
_OPERANDS = "d:b32, a:b32, b:b32"
_KINDS = {"dtype": _TYPES, "atype": _TYPES, "btype": _TYPES}


def _found(name: str, bits: int, options: str) -> str:
    return f"video_{name}(a, b, c, (Video){{{{{bits}, signed_{{atype}}, signed_{{btype}}, {options}}}}})"


def _of_parts(name: str, count: int) -> tuple[Row, ...]:
    """Two halves or four bytes: side by side, or added to a third operand."""
    head = f"v{name}{count}.dtype.atype.btype"
    bits = 32 // count
    return (
        row(
            f"{head}{{.sat}} {_OPERANDS}, c:b32",
            _SIMD,
            f"d = {_found(name, bits, 'range_{sat}_{dtype}, keeps')}",
            **_KINDS,
        ),
        row(f"{head}.add {_OPERANDS}, c:b32", _SIMD, f"d = {_found(name, bits, '0, sums')}", **_KINDS),
    )


def _compared(count: int) -> tuple[Row, ...]:
    head = f"vset{count}.atype.btype.cmp"
    sets = {"atype": _TYPES, "btype": _TYPES, "cmp": _CMP}
    return (
        row(f"{head} {_OPERANDS}, c:b32", _SIMD, f"d = {_found('{cmp}', 32 // count, '0, keeps')}", **sets),
        row(f"{head}.add {_OPERANDS}, c:b32", _SIMD, f"d = {_found('{cmp}', 32 // count, '0, sums')}", **sets),
    )


def _scalar(name: str) -> tuple[Row, ...]:
    """Of 32 bits, also with a second operation."""
    head = f"v{name}.dtype.atype.btype{{.sat}}"
    found = _found(name, 32, "range_{sat}_{dtype}, keeps")
    first = found.replace("b, c,", "b, 0,")
    return (
        row(f"{head} {_OPERANDS}", _SCALAR, f"d = {first}", **_KINDS),
        row(
            f"{head}.second {_OPERANDS}, c:b32",
            _SCALAR,
            f"const u32 first_ = {first}; d = second_{{second}}_{{dtype}}(first_, c)",
            second="add min max",
            **_KINDS,
        ),
    )


def _shift(name: str) -> Row:
    return row(
        f"v{name}.dtype.atype.u32{{.sat}}.mode {_OPERANDS}",
        _SCALAR,
        f"d = video_{name}(a, video_places_{{mode}}(b), signed_{{atype}}, range_{{sat}}_{{dtype}})",
        dtype=_TYPES,
        atype=_TYPES,
        mode="clamp wrap",
    )


_PARTS = ("add", "sub", "absdiff", "min", "max", "avrg")

ROWS: tuple[Row, ...] = (
    *(found for name in _PARTS for count in (2, 4) for found in _of_parts(name, count)),
    *(found for count in (2, 4) for found in _compared(count)),
    *(found for name in _PARTS[:-1] for found in _scalar(name)),
    *map(_shift, ("shl", "shr")),
    row(
        f"vset.atype.btype.cmp {_OPERANDS}",
        _SCALAR,
        f"d = {_found('{cmp}', 32, '0, keeps').replace('b, c,', 'b, 0,')}",
        atype=_TYPES,
        btype=_TYPES,
        cmp=_CMP,
    ),
)
