"""Rows of the executor's table as instructions in PTX: every member of each set of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.syntax import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.testing.ptx.form_rows import Row

__all__ = ["texts_of"]

# Rows that the interpreter adds by itself are no PTX.
_OWN = frozenset(("address", "clock", "vprintf", "assertfail"))
# Operands that have to be constants, by opcode and name.
_CONSTANTS = {
    ("lop3", "e"): "0x80",
    ("cp", "n"): "16",
    ("pmevent", "a"): "1",
    ("setmaxnreg", "a"): "64",
    ("applypriority", "b"): "128",
    ("discard", "b"): "128",
    ("st", "n"): "0",
}
_BITS = {"pred": "p", "8": "c", "16": "h", "32": "r", "64": "d", "128": "q"}
_LONGER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


def texts_of(row: Row) -> Iterator[tuple[str, set[str]]]:
    """Instructions, and which member of which set each has, e.g. `rnd=rn`; `""` stands for the row itself."""
    if row.opcode in _OWN:
        return
    choices = [
        [(name, member) for member in ([""] if optional else []) + list(row.sets.get(name, (name,)))]
        for name, optional in row.modifiers
    ]
    most = max((len(each) for each in choices), default=1)
    done = set()
    # All at their first, all in step, and each by itself with the others at their first.
    picks = [tuple(each[turn % len(each)] for each in choices) for turn in range(most)]
    picks += [
        tuple(
            other[min(at, len(other) - 1) if place == index else first % len(other)]
            for place, other in enumerate(choices)
        )
        for first in (0, 1)
        for index, each in enumerate(choices)
        for at in range(len(each))
    ]
    for pick in picks:
        for optional in (True, False):
            found = dict(pick)
            words = [found[name] for name, _ in row.modifiers if found[name]]
            text = f"{'.'.join((row.opcode, *words))} {_operands(row, found, words, with_optional=optional)}".strip()
            if text not in done:
                done.add(text)
                yield text, {"", *(f"{name}={member}" for name, member in pick if member)}


def _operands(row: Row, found: dict[str, str], words: list[str], *, with_optional: bool) -> str:
    row_type = found.get("type") or (words[-1] if words else "b32")
    count = 0
    texts: list[str] = []
    for role in row.roles:
        there = bool(found.get("hint")) if role.name == "policy" else with_optional
        if role.name == "cc" or (role.optional and not there):
            continue
        of = row_type if role.type is None else role.type.format(**found)
        of = _LONGER[row_type] if of == "wide" else of
        constant = _CONSTANTS.get((row.opcode, role.name))
        if role.address:
            texts.append(f"[%{'d'}{count}]")
        elif role.elements:
            texts.append("{" + ", ".join(_register(of, count + index) for index in range(role.elements)) + "}")
        elif role.second:
            texts[-1] += f"|{_register(of, count % 8)}"
        else:
            texts.append(constant or _register(of, count))
        count += max(1, role.elements)
    return ", ".join(texts)


def _register(of: str, number: int) -> str:
    if of in {"f32", "f64"}:
        return f"%{'f' if of == 'f32' else 'g'}{number}"
    return f"%{_BITS[_width(of)]}{number % 8 if of == 'pred' or _width(of) == '8' else number}"


def _width(of: str) -> str:
    if of == "pred":
        return of
    return str(8 * size_of(of))
