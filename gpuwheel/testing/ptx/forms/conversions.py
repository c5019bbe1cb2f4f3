"""`cvt` and `cvt.pack` (PTX ISA, sections 9.7.9.21 and 9.7.9.22)."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_INTEGERS = "u8 s8 u16 s16 u32 s32 u64 s64"
_SHORT = "u8 s8 u16 s16 u32 s32"
_LONG = "u64 s64"
_FLOATS = "f16 bf16 f32 f64"
_RND = "rn rz rm rp"
_IRND = "rni rzi rmi rpi"
_CVT = "9.7.9.21"


def _cvt(syntax: str, meaning: str, **sets: str) -> Row:
    return row(f"cvt{syntax}", _CVT, meaning, **sets)


def _to_integers() -> tuple[Row, ...]:
    """NaN is zero, or the highest bit alone if either side has 64 bits."""
    found = []
    for of, options, value in (
        ("f16", "{.sat}", "(double)a"),
        ("bf16", "", "(double)a"),
        ("f32", "{.ftz}{.sat}", "(double){ftz}(a)"),
        ("f64", "{.sat}", "a"),
    ):
        for dtypes in (_SHORT, _LONG):
            of_nan = "0" if dtypes == _SHORT and of != "f64" else "highest_bit({dtype})"
            meaning = f"d = {{dtype}}_of_whole(whole_{{irnd}}({value}), {of_nan})"
            found.append(_cvt(f".irnd{options}.dtype.{of} d:{{dtype}}, a", meaning, irnd=_IRND, dtype=dtypes))
    return tuple(found)


def _from_integers() -> tuple[Row, ...]:
    """f64 holds integers of 32 bits, and longer ones with a last bit that says that there is more."""
    directed = "rz rm rp"
    to_f32 = "d = {sat}(f32_from_{rnd}(real_{type}(a)))"
    to_f64 = "d = {sat}(f64_{rnd}((double)a, lacks_of_integer(a)))"
    return (
        _cvt(".rn{.ftz}{.sat}.f32.type d:f32, a", "d = {sat}((float)a)", type=_INTEGERS),
        _cvt(".rnd{.ftz}{.sat}.f32.type d:f32, a", to_f32, rnd=directed, type=_INTEGERS),
        _cvt(".rn{.sat}.f64.type d:f64, a", "d = {sat}((double)a)", type=_INTEGERS),
        _cvt(".rnd{.sat}.f64.type d:f64, a", to_f64, rnd=directed, type=_INTEGERS),
        _cvt(".rnd{.sat}.f16.type d:f16, a", "d = {sat}(f16_from_{rnd}(real_{type}(a)))", rnd=_RND, type=_INTEGERS),
        _cvt(".rnd.bf16.type d:bf16, a", "d = bf16_from_{rnd}(real_{type}(a))", rnd=_RND, type=_INTEGERS),
    )


def _between_floats() -> tuple[Row, ...]:
    return (
        # To the same type or a longer one: every value is there.
        _cvt("{.ftz}{.sat}.f32.type d:f32, a", "d = {sat}({ftz}(quiet({ftz}(a))))", type="f16 f32"),
        _cvt("{.ftz}.f32.bf16 d:f32, a", "d = {ftz}(quiet(a))"),
        _cvt("{.ftz}{.sat}.f64.f32 d:f64, a", "d = {sat}((double){ftz}(a))"),
        _cvt("{.sat}.f64.type d:f64, a", "d = {sat}((double)a)", type="f16 f64"),
        _cvt(".f64.bf16 d:f64, a", "d = a"),
        _cvt("{.sat}.f16.f16 d, a", "d = {sat}((double)a)"),
        _cvt(".bf16.bf16 d, a", "d = a"),
        # To an integral value of the same type.
        _cvt(".irnd{.ftz}{.sat}.f32.f32 d, a", "d = {sat}(quiet((float)whole_{irnd}({ftz}(a))))", irnd=_IRND),
        _cvt(".irnd{.sat}.f64.f64 d, a", "d = {sat}(whole_{irnd}(a))", irnd=_IRND),
        _cvt(".irnd{.sat}.f16.f16 d, a", "d = {sat}(whole_{irnd}((double)a))", irnd=_IRND),
        _cvt(".irnd.bf16.bf16 d, a", "d = whole_{irnd}((double)a)", irnd=_IRND),
        # To a shorter one.
        _cvt(".rnd{.ftz}{.sat}.f32.f64 d:f32, a", "d = {sat}({ftz}(f32_from_{rnd}(a)))", rnd=_RND),
        _cvt(
            ".rnd{.ftz}{.relu}{.satfinite}{.sat}.f16.f32 d:f16, a",
            "d = {sat}({relu}(f16_from_{rnd}(f16_limit_{satfinite}({ftz}(a)))))",
            rnd=_RND,
        ),
        _cvt(
            ".rnd{.ftz}{.relu}{.satfinite}.bf16.f32 d:bf16, a",
            "d = {relu}(bf16_from_{rnd}(bf16_limit_{satfinite}({ftz}(a))))",
            rnd=_RND,
        ),
        _cvt(".rnd{.sat}.f16.f64 d:f16, a", "d = {sat}(f16_from_{rnd}(a))", rnd=_RND),
        _cvt(".rnd.bf16.f64 d:bf16, a", "d = bf16_from_{rnd}(a)", rnd=_RND),
        _cvt(".rnd.f16.bf16 d:f16, a", "d = f16_from_{rnd}(a)", rnd=_RND),
        _cvt(".rnd.bf16.f16 d:bf16, a", "d = bf16_from_{rnd}(a)", rnd=_RND),
    )


def _tf32() -> tuple[Row, ...]:
    return (
        _cvt(".rna{.satfinite}.tf32.f32 d:b32, a", "d = tf32_rna(tf32_limit_{satfinite}(a))"),
        _cvt(
            ".rnd{.relu}{.satfinite}.tf32.f32 d:b32, a",
            "d = tf32_{rnd}({relu}(tf32_limit_{satfinite}(a)))",
            rnd="rn rz",
        ),
    )


def _pairs() -> tuple[Row, ...]:
    """Two values in one register, the first in its upper half."""
    found = []
    for of in ("f16", "bf16"):
        limited = f"{{relu}}({of}_limit_{{satfinite}}(%s))"
        rounded = f"code_{of}_{{rnd}}({limited})"
        drawn = f"stochastic_{of}({limited}, e%s)"
        both = f"d = two_halves({rounded % 'a'}, {rounded % 'b'})"
        tail = f".{of}x2.f32 d:b32, a, b"
        found += [
            _cvt(f".rnd{{.relu}}{{.satfinite}}{tail}", both, rnd="rn rz"),
            _cvt(
                f".rs{{.relu}}{{.satfinite}}{tail}, e:b32",
                f"d = two_halves({drawn % ('a', ' >> 16')}, {drawn % ('b', '')})",
            ),
        ]
    return tuple(found)


def _narrow() -> tuple[Row, ...]:
    """Formats of 4, 6 and 8 bits: the first value in the upper part."""
    two = "d = pack_{to}({relu}(%s), {relu}(%s))"
    found: list[Row] = []
    for to, register in (("e4m3x2 e5m2x2 e2m3x2 e3m2x2", "b16"), ("e2m1x2", "b8")):
        found.append(_cvt(f".rn{{.relu}}.satfinite.to.f32 d:{register}, a, b", two % ("a", "b"), to=to))
        for of in ("f16x2", "bf16x2"):
            halves = two % (f"high_{of}(a)", f"low_{of}(a)")
            found.append(_cvt(f".rn{{.relu}}.satfinite.to.{of} d:{register}, a:b32", halves, to=to))
        for of in ("f16", "bf16"):
            halves = f"d = two_halves(to_{of}({{relu}}(first_{{to}}(a))), to_{of}({{relu}}(second_{{to}}(a))))"
            found.append(_cvt(f".rn{{.relu}}.{of}x2.to d:b32, a:{register}", halves, to=to))
    for to, register in (("e4m3x4 e5m2x4 e2m3x4 e3m2x4", "b32"), ("e2m1x4", "b16")):
        drawn = "d = four_{to}({relu}(a0), {relu}(a1), {relu}(a2), {relu}(a3), e)"
        found.append(_cvt(f".rs{{.relu}}.satfinite.to.f32 d:{register}, a[4]:f32, e:b32", drawn, to=to))
    return tuple(found)


def _exponents() -> tuple[Row, ...]:
    each = "ue8m0_of(%s, raised_{rnd}, limit_{satfinite})"
    return (
        _cvt(".rnd{.satfinite}.ue8m0x2.f32 d:b16, a, b", f"d = packed({each % 'a'}, {each % 'b'}, 8)", rnd="rz rp"),
        _cvt(
            ".rnd{.satfinite}.ue8m0x2.bf16x2 d:b16, a:b32",
            f"d = packed({each % 'high_bf16x2(a)'}, {each % 'low_bf16x2(a)'}, 8)",
            rnd="rz rp",
        ),
        _cvt(
            ".rn.bf16x2.ue8m0x2 d:b32, a:b16",
            "d = two_halves(to_bf16(decode_ue8m0(a >> 8)), to_bf16(decode_ue8m0(a & 0xff)))",
        ),
    )


ROWS: tuple[Row, ...] = (
    _cvt(".dtype.type d:{dtype}, a", "d = a", dtype=_INTEGERS, type=_INTEGERS),
    _cvt(".sat.dtype.type d:{dtype}, a", "d = clamp_{dtype}(a)", dtype=_INTEGERS, type=_INTEGERS),
    *_to_integers(),
    *_from_integers(),
    *_between_floats(),
    *_tf32(),
    *_pairs(),
    *_narrow(),
    *_exponents(),
    row("cvt.pack.sat.to.s32 d:b32, a, b", "9.7.9.22", "d = pack_{to}(a, b)", to="u16 s16"),
    row(
        "cvt.pack.sat.to.s32.b32 d:b32, a:s32, b:s32, c:b32",
        "9.7.9.22",
        "d = pack_{to}(a, b, c)",
        to="u2 s2 u4 s4 u8 s8",
    ),
)
