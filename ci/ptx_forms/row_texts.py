"""Rows of the executor's table as instructions in PTX: every member of each set of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.syntax import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.testing.ptx.form_rows import Row

__all__ = ["texts_of"]

# Rows that the interpreter adds by itself are no PTX; `.param::func` is of device functions.
_OWN = frozenset(("address", "clock", "vprintf", "assertfail"))
# Operands that have to be constants, by opcode and name.
_CONSTANTS = {
    ("lop3", "e"): "0x80",
    ("cp", "n"): "16",
    ("pmevent", "a"): "1",
    ("setmaxnreg", "a"): "64",
    ("applypriority", "b"): "128",
    ("discard", "b"): "128",
    ("st", "c"): "0",
    ("fence", "b"): "128",
}
_BITS = {"pred": "p", "8": "c", "16": "h", "32": "r", "64": "d", "128": "q"}
_LONGER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


def texts_of(row: Row) -> Iterator[tuple[str, set[str]]]:
    """Instructions, and which member of which set each has, e.g. `rnd=rn`; `""` stands for the row itself."""
    if row.opcode in _OWN or "param::func" in row.syntax:
        return
    choices = [
        [(name, member) for member in ([""] if optional else []) + list(row.sets.get(name, (name,)))]
        for name, optional in row.modifiers
    ]
    most = max((len(each) for each in choices), default=1)
    done = set()
    # All in step, shifted against each other, and each by itself with the others at their first or second.
    picks = [
        tuple(each[(turn + shift * place) % len(each)] for place, each in enumerate(choices))
        for shift in (0, 1, 3, -1)
        for turn in range(most)
    ]
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
            found = _together(row, dict(pick))
            words = [found[name] for name, _ in row.modifiers if found[name]]
            text = f"{'.'.join((row.opcode, *words))} {_operands(row, found, words, with_optional=optional)}".strip()
            if text not in done:
                done.add(text)
                yield text, {"", *(f"{name}={member}" for name, member in found.items() if member)}


def _together(row: Row, found: dict[str, str]) -> dict[str, str]:
    """An order of memory needs a scope, and a scope an order."""
    order = next((name for name in ("sem", "order") if name in row.sets and (name, True) in row.modifiers), "")
    plain = dict.fromkeys(("cop", "nc", "weak", "l1", "l2", "hint", "prefetch"), "")
    if found.get("mmio"):
        return {**found, **plain, "order": "relaxed", "scope": "sys"}
    if found.get("volatile") or (order == "order" and found[order] == "volatile"):
        return {**found, **plain, "scope": ""}
    if order and ("scope", True) in row.modifiers and (found[order] or found["scope"]):
        ordered = {**found, order: found[order] or row.sets[order][0], "scope": found["scope"] or row.sets["scope"][0]}
        return {**ordered, **plain} if order == "order" else ordered
    if found.get("cop"):
        return {**found, **plain, "cop": found["cop"], "nc": found.get("nc", "")}
    return found


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
            # An mbarrier of another block tells nothing.
            far = row.opcode == "mbarrier" and role.name == "d" and "shared::cluster" in words
            texts.append("_" if far else constant or _register(of, count))
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
