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


def _with_second(head: str, found: str, result: str, **sets: str) -> tuple[Row, ...]:
    """One of 32 bits, also with a second operation."""
    second = f"const u32 first_ = {found}; d = second_{{second}}_{result}(first_, c)"
    return (
        row(f"{head} {_OPERANDS}", _SCALAR, f"d = {found}", **sets),
        row(f"{head}.second {_OPERANDS}, c:b32", _SCALAR, second, second="add min max", **sets),
    )


def _scalar(name: str) -> tuple[Row, ...]:
    found = _found(name, 32, "range_{sat}_{dtype}, keeps").replace("b, c,", "b, 0,")
    return _with_second(f"v{name}.dtype.atype.btype{{.sat}}", found, "{dtype}", **_KINDS)


def _shift(name: str) -> tuple[Row, ...]:
    found = f"video_{name}(a, video_places_{{mode}}(b), signed_{{atype}}, range_{{sat}}_{{dtype}})"
    sets = {"dtype": _TYPES, "atype": _TYPES, "mode": "clamp wrap"}
    return _with_second(f"v{name}.dtype.atype.u32{{.sat}}.mode", found, "{dtype}", **sets)


def _multiplied(dtype: str, atype: str, btype: str) -> Row:
    """With a sum of as many bits as it takes. Of types whose signs do not go together the manual says no meaning."""
    a, b, c = (
        f"(s128)video_part({name}, 0, 32, signed_{of})" for name, of in zip("abc", (atype, btype, dtype), strict=True)
    )
    return row(
        f"vmad.{dtype}.{atype}.{btype}{{.po}}{{.sat}}{{.scale}} {_OPERANDS}, c:b32",
        _SCALAR,
        f"d = (u32)video_clamp(({a} * {b} + {c} + one_{{po}}) >> places_{{scale}}, 32, range_{{sat}}_{dtype})",
        scale="shr7 shr15",
    )


_PARTS = ("add", "sub", "absdiff", "min", "max", "avrg")

ROWS: tuple[Row, ...] = (
    *(found for name in _PARTS for count in (2, 4) for found in _of_parts(name, count)),
    *(found for count in (2, 4) for found in _compared(count)),
    *(found for name in _PARTS[:-1] for found in _scalar(name)),
    *(found for name in ("shl", "shr") for found in _shift(name)),
    _multiplied("u32", "u32", "u32"),
    *(_multiplied("s32", a, b) for a, b in (("s32", "s32"), ("s32", "u32"), ("u32", "s32"))),
    *_with_second(
        "vset.atype.btype.cmp",
        _found("{cmp}", 32, "0, keeps").replace("b, c,", "b, 0,"),
        "u32",
        atype=_TYPES,
        btype=_TYPES,
        cmp=_CMP,
    ),
)
