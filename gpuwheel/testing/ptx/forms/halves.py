"""Floating point of 16 bits (PTX ISA, section 9.7.4): computed as f32 and f64, and rounded once when it is written."""

from __future__ import annotations

from gpuwheel.testing.ptx.form_rows import Row, row

__all__ = ["ROWS"]

_F16 = "f16 f16x2"
_BF16 = "bf16 bf16x2"
_SIGN = {"f16": "0x8000", "bf16": "0x8000", "f16x2": "0x80008000u", "bf16x2": "0x80008000u"}


def _binary(name: str, section: str, sign: str) -> tuple[Row, ...]:
    """`add`, `sub` and `mul`: of two halves f64 has every digit that matters."""
    return (
        row(
            f"{name}{{.rnd}}{{.ftz}}{{.sat}}.type d, a, b",
            section,
            f"d = {{sat}}(f16_{{ftz}}(f16_{{ftz}}(a) {sign} f16_{{ftz}}(b)))",
            rnd="rn",
            type=_F16,
        ),
        row(f"{name}{{.rnd}}.type d, a, b", section, f"d = (double)a {sign} (double)b", rnd="rn", type=_BF16),
    )


def _sign(name: str, section: str, operation: str) -> tuple[Row, ...]:
    """`neg` and `abs`: of the sign alone."""
    found = []
    for half, mask in _SIGN.items():
        flush = "{.ftz}" if half.startswith("f16") else ""
        bits = "b32" if half.endswith("x2") else "b16"
        value = f"{half}_bits_{{ftz}}(a)" if flush else "a"
        found.append(row(f"{name}{flush}.{half} d:{bits}, a:{bits}", section, f"d = {value} {operation}{mask}"))
    return tuple(found)


def _extreme(name: str, section: str) -> tuple[Row, ...]:
    """`min` and `max`."""
    plain, magnitudes = (f"{name}_{{NaN}}({of}a), {of}b))" for of in ("(", "fabsf("))
    of_f16 = [text.replace("a)", "f16_{ftz}(a))").replace("b)", "f16_{ftz}(b))") for text in (plain, magnitudes)]
    return (
        row(f"{name}{{.ftz}}{{.NaN}}.type d, a, b", section, f"d = {of_f16[0]}", type=_F16),
        row(f"{name}{{.ftz}}{{.NaN}}.xorsign.abs.type d, a, b", section, f"d = xorsign({of_f16[1]}, a, b)", type=_F16),
        row(f"{name}{{.NaN}}.type d, a, b", section, f"d = {plain}", type=_BF16),
        row(f"{name}{{.NaN}}.xorsign.abs.type d, a, b", section, f"d = xorsign({magnitudes}, a, b)", type=_BF16),
    )


ROWS: tuple[Row, ...] = (
    *_binary("add", "9.7.4.1", "+"),
    *_binary("sub", "9.7.4.2", "-"),
    *_binary("mul", "9.7.4.3", "*"),
    row(
        "fma.rnd{.ftz}{.sat}.type d, a, b, c",
        "9.7.4.4",
        "d = {sat}(f16_{ftz}(f16_fma(f16_{ftz}(a), f16_{ftz}(b), f16_{ftz}(c))))",
        rnd="rn",
        type=_F16,
    ),
    row(
        "fma.rnd{.ftz}.relu.type d, a, b, c",
        "9.7.4.4",
        "d = relu(f16_{ftz}(f16_fma(f16_{ftz}(a), f16_{ftz}(b), f16_{ftz}(c))))",
        rnd="rn",
        type=_F16,
    ),
    row("fma.rnd{.relu}.type d, a, b, c", "9.7.4.4", "d = {relu}(bf16_fma(a, b, c))", rnd="rn", type=_BF16),
    *_sign("neg", "9.7.4.5", "^ "),
    *_sign("abs", "9.7.4.6", "& ~"),
    *_extreme("min", "9.7.4.7"),
    *_extreme("max", "9.7.4.8"),
    # Bounds of the manual: 2^-10.987 (f16) and 2^-8 (bf16); 2^-9.9 and 2^-7 relative.
    row("tanh.approx.type d, a", "9.7.4.9", "d = tanh(a)", type=f"{_F16} {_BF16}"),
    row("ex2.approx.type d, a", "9.7.4.10", "d = exp2(a)", type=_F16),
    row("ex2.approx.ftz.type d, a", "9.7.4.10", "d = bf16_ftz(exp2(bf16_ftz(a)))", type=_BF16),
)
