"""Floating point of 32 and 64 bits (PTX ISA, section 9.7.3), and of mixed precision (9.7.5).

What the manual calls approximations are nearer here than its bounds, which each row states: a result on hardware
differs in its last bits.
"""

from __future__ import annotations

from dataclasses import replace

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_RND = "rn rz rm rp"


def _binary(name: str, section: str) -> tuple[Row, ...]:
    """`add`, `sub` and `mul`."""
    single = f"f32_{name}_{{rnd}}({{ftz}}(a), {{ftz}}(b))"
    return (
        row(f"{name}{{.rnd}}{{.ftz}}{{.sat}}.f32 d, a, b", section, f"d = {{sat}}({{ftz}}({single}))", rnd=_RND),
        row(f"{name}{{.rnd}}{{.ftz}}.f32x2 d, a, b", section, f"d = {{ftz}}({single})", rnd=_RND),
        row(f"{name}{{.rnd}}.f64 d, a, b", section, f"d = f64_{name}_{{rnd}}(a, b)", rnd=_RND),
    )


def _unary(name: str, section: str) -> tuple[Row, ...]:
    """`rcp` and `sqrt` with one rounding."""
    return (
        row(f"{name}.rnd{{.ftz}}.f32 d, a", section, f"d = {{ftz}}(f32_{name}_{{rnd}}({{ftz}}(a)))", rnd=_RND),
        row(f"{name}.rnd.f64 d, a", section, f"d = f64_{name}_{{rnd}}(a)", rnd=_RND),
    )


def _extreme(name: str, section: str) -> tuple[Row, ...]:
    """`min` and `max`."""
    two = f"{name}_{{NaN}}({{ftz}}(a), {{ftz}}(b))"
    magnitudes = f"{name}_{{NaN}}(fabsf({{ftz}}(a)), fabsf({{ftz}}(b)))"
    first, second, third = (f"magnitude_{{abs}}({{ftz}}({operand}))" for operand in "abc")
    three = f"{name}_{{NaN}}({name}_{{NaN}}({first}, {second}), {third})"
    return (
        row(f"{name}{{.ftz}}{{.NaN}}.f32 d, a, b", section, f"d = {two}"),
        row(f"{name}{{.ftz}}{{.NaN}}{{.abs}}.f32 d, a, b, c", section, f"d = {three}"),
        row(f"{name}{{.ftz}}{{.NaN}}.xorsign.abs.f32 d, a, b", section, f"d = xorsign({magnitudes}, a, b)"),
        row(f"{name}.f64 d, a, b", section, f"d = {name}_f64(a, b)"),
    )


def _mixed(name: str, section: str) -> Row:
    return row(
        f"{name}{{.rnd}}{{.sat}}.f32.atype d:f32, a:{{atype}}, c:f32",
        section,
        f"d = {{sat}}(f32_{name}_{{rnd}}(a, c))",
        rnd=_RND,
        atype="f16 bf16",
    )


def _approximation(syntax: str, section: str, found: str, bound: str) -> Row:
    return replace(row(syntax, section, found), bound=bound)


_FUSED = "f32_fma_{rnd}({ftz}(a), {ftz}(b), {ftz}(c))"

ROWS: tuple[Row, ...] = (
    row(
        "testp.op.type p:pred, a",
        "9.7.3.1",
        "p = has_{op}(a)",
        op="finite infinite number notanumber normal subnormal",
        type="f32 f64",
    ),
    row("copysign.f32 d, a, b", "9.7.3.2", "d = copysignf(b, a)"),
    row("copysign.f64 d, a, b", "9.7.3.2", "d = copysign(b, a)"),
    *_binary("add", "9.7.3.3"),
    *_binary("sub", "9.7.3.4"),
    *_binary("mul", "9.7.3.5"),
    row("fma.rnd{.ftz}{.sat}.f32 d, a, b, c", "9.7.3.6", f"d = {{sat}}({{ftz}}({_FUSED}))", rnd=_RND),
    row("fma.rnd{.ftz}.f32x2 d, a, b, c", "9.7.3.6", f"d = {{ftz}}({_FUSED})", rnd=_RND),
    row("fma.rnd.f64 d, a, b, c", "9.7.3.6", "d = f64_fma_{rnd}(a, b, c)", rnd=_RND),
    row("mad.rnd{.ftz}{.sat}.f32 d, a, b, c", "9.7.3.7", f"d = {{sat}}({{ftz}}({_FUSED}))", rnd=_RND),
    row("mad.rnd.f64 d, a, b, c", "9.7.3.7", "d = f64_fma_{rnd}(a, b, c)", rnd=_RND),
    row("div.rnd{.ftz}.f32 d, a, b", "9.7.3.8", "d = {ftz}(f32_div_{rnd}({ftz}(a), {ftz}(b)))", rnd=_RND),
    row("div.rnd.f64 d, a, b", "9.7.3.8", "d = f64_div_{rnd}(a, b)", rnd=_RND),
    _approximation(
        "div.approx{.ftz}.f32 d, a, b",
        "9.7.3.8",
        "d = {ftz}(f32_div_approx({ftz}(a), {ftz}(b)))",
        "2 ulp, and beyond 2^126 zero",
    ),
    _approximation("div.full{.ftz}.f32 d, a, b", "9.7.3.8", "d = {ftz}(f32_div_rn({ftz}(a), {ftz}(b)))", "2 ulp"),
    row("abs{.ftz}.f32 d, a", "9.7.3.9", "d = fabsf({ftz}(a))"),
    row("abs.f64 d, a", "9.7.3.9", "d = fabs(a)"),
    row("neg{.ftz}.f32 d, a", "9.7.3.10", "d = -{ftz}(a)"),
    row("neg.f64 d, a", "9.7.3.10", "d = -a"),
    *_extreme("min", "9.7.3.11"),
    *_extreme("max", "9.7.3.12"),
    *_unary("rcp", "9.7.3.13"),
    _approximation("rcp.approx{.ftz}.f32 d, a", "9.7.3.13", "d = {ftz}(f32_rcp_rn({ftz}(a)))", "1 ulp"),
    _approximation("rcp.approx.ftz.f64 d, a", "9.7.3.14", "d = f64_rcp_gross(a)", "none"),
    *_unary("sqrt", "9.7.3.15"),
    _approximation("sqrt.approx{.ftz}.f32 d, a", "9.7.3.15", "d = {ftz}(f32_sqrt_rn({ftz}(a)))", "2^-23 relative"),
    _approximation("rsqrt.approx{.ftz}.f32 d, a", "9.7.3.16", "d = {ftz}(f32_rsqrt({ftz}(a)))", "2^-22.9 relative"),
    _approximation("rsqrt.approx.f64 d, a", "9.7.3.16", "d = 1.0 / sqrt(a)", "none"),
    _approximation("rsqrt.approx.ftz.f64 d, a", "9.7.3.17", "d = f64_rsqrt_gross(a)", "none"),
    _approximation("sin.approx{.ftz}.f32 d, a", "9.7.3.18", "d = {ftz}(f32_sin({ftz}(a)))", "2^-20.5 up to 2 pi"),
    _approximation("cos.approx{.ftz}.f32 d, a", "9.7.3.19", "d = {ftz}(f32_cos({ftz}(a)))", "2^-20.5 up to 2 pi"),
    _approximation(
        "lg2.approx{.ftz}.f32 d, a", "9.7.3.20", "d = {ftz}(f32_lg2({ftz}(a)))", "2^-22, relative but near 1"
    ),
    _approximation("ex2.approx{.ftz}.f32 d, a", "9.7.3.21", "d = {ftz}(f32_ex2({ftz}(a)))", "2 ulp"),
    _approximation("tanh.approx.f32 d, a", "9.7.3.22", "d = f32_tanh(a)", "2^-11 relative"),
    _mixed("add", "9.7.5.1"),
    _mixed("sub", "9.7.5.2"),
    row(
        "fma.rnd{.sat}.f32.atype d:f32, a:{atype}, b:{atype}, c:f32",
        "9.7.5.3",
        "d = {sat}(f32_fma_{rnd}(a, b, c))",
        rnd=_RND,
        atype="f16 bf16",
    ),
)
