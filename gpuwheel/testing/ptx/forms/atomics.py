"""Atomic operations (PTX ISA, sections 9.7.13.5 and 9.7.13.6): `atom` gives back what was there, `red` does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.form_rows import Row, row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROWS"]

_BEFORE = "{.sem}{.scope}"
_SETS = {
    "sem": "relaxed acquire release acq_rel",
    "scope": "cta cluster gpu sys",
    "hint": "L2::cache_hint",
}
_RED = {**_SETS, "sem": "relaxed release"}
_SPACES = {
    ".global": "at_global",
    ".shared": "at_shared",
    ".shared::cta": "at_shared",
    ".shared::cluster": "at_shared",
    "": "at_generic",
}
_LIMITS = {"min": "<", "max": ">"}
_BITS = {"and": "&", "or": "|", "xor": "^"}
# Operation, type, and the new value of `old` and `b`.
_INTEGERS = (
    *(("add", name, "old + b") for name in ("u32", "s32", "u64")),
    *(
        (name, of, f"b {sign} ({of})old ? b : ({of})old")
        for name, sign in _LIMITS.items()
        for of in ("u32", "s32", "u64", "s64")
    ),
    *((name, of, f"old {sign} b") for name, sign in _BITS.items() for of in ("b32", "b64")),
    *(("exch", name, "b") for name in ("b32", "b64", "b128")),
    ("inc", "u32", "old >= b ? 0 : old + 1"),
    ("dec", "u32", "old == 0 || old > b ? b : old - 1"),
)
_HALVES = tuple(
    (name, f"{of}{packed}", f"{name}_{of}{packed}(old, b)")
    for name in ("add", "min", "max")
    for of in ("f16", "bf16")
    for packed in ("", "x2")
)
_BITS_OF = {"f16": 16, "bf16": 16, "f16x2": 32, "bf16x2": 32, "f32": 32, "f64": 64, "u128": 128}


def _bits(name: str) -> int:
    return _BITS_OF.get(name) or int(name[1:])


def _rows(space: str, look_up: str) -> Iterator[Row]:
    # By a generic address each lane may name another space.
    adds = "add_f32_shared" if "shared" in space else "add_f32_global"
    if not space:
        adds = "(space_of(w, lane, a) == IN_GLOBAL ? add_f32_global : add_f32_shared)"
    every = (
        *((name, "", of, value, of) for name, of, value in _INTEGERS),
        ("add", "", "f32", f"{adds}(old, b)", "f32"),
        ("add", "", "f64", "add_f64(old, b)", "f64"),
        *((name, ".noftz", of, value, f"b{_bits(of)}") for name, of, value in _HALVES if name == "add"),
    )
    cached, policy = ("{.hint}", ", policy:b64?") if space in {".global", ""} else ("", "")
    for name, more, of, value, type_name in every:
        size = f"u{_bits(of)}"
        plain = f"b{_bits(of)}"
        middle = f"{space}.{name}{more}{cached}.{of}"
        update = f"UPDATE({look_up}, ATOMIC | ORDER_{{sem}}, {size}, d, {value})"
        yield row(f"atom{_BEFORE}{middle} d:{plain}, [a], b:{type_name}{policy}", "9.7.13.5", update, **_SETS)
        if name == "exch":
            continue
        alone = f"{size} d; UPDATE({look_up}, ATOMIC | ORDER_{{sem}}, {size}, d, {value}); (void)d"
        yield row(f"red{_BEFORE}{middle} [a], b:{type_name}{policy}", "9.7.13.6", alone, **_RED)
    for of in ("b16", "b32", "b64", "b128"):
        update = f"UPDATE({look_up}, ATOMIC | ORDER_{{sem}}, u{_bits(of)}, d, old == b ? c : old)"
        yield row(f"atom{_BEFORE}{space}.cas.{of} d, [a], b, c", "9.7.13.5", update, **_SETS)


def _vectors() -> Iterator[Row]:
    """Each element is updated by itself: together they are no atomic operation."""
    every = [(count, "f32", "", "add", "add_f32_global(old, b{0})") for count in (2, 4)]
    every += [
        (count, of, ".noftz", name, f"{value[:-2]}b{{0}})")
        for name, of, value in _HALVES
        for count in ((2, 4) if of.endswith("x2") else (2, 4, 8))
    ]
    for count, of, more, name, value in every:
        size, each = f"u{_bits(of)}", _bits(of) // 8
        update = f"UPDATE(at_global, ATOMIC | ORDER_{{{{sem}}}}, {size}, d{{0}}, {value})"
        one = f"const u64 base_ = a; u64 a = base_ + {{1}}; {update}"
        updates = [f"{{{{ {one.format(index, index * each)}; }}}}" for index in range(count)]
        type_name = "f32" if of == "f32" else f"b{_bits(of)}"
        for head, section, before, sets in (("atom", "9.7.13.5", "", _SETS), ("red", "9.7.13.6", f"{size} ", _RED)):
            names = ", ".join(f"d{index}" for index in range(count))
            declared = f"{before}{names}; " if before else ""
            result = f"d[{count}]:b{_bits(of)}, " if head == "atom" else ""
            middle = f"{_BEFORE}.global.{name}{more}{{.hint}}.v{count}.{of}"
            syntax = f"{head}{middle} {result}[a], b[{count}]:{type_name}, policy:b64?"
            yield row(syntax, section, declared + " ".join(updates), **sets)


ROWS = (*(found for space, look_up in _SPACES.items() for found in _rows(space, look_up)), *_vectors())
