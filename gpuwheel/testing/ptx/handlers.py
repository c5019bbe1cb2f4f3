"""Handlers of the interpreter: what one form of an instruction does for the lanes of a warp, in C, made from the table.

A *form* is a row of the table with its modifiers chosen and its operands told apart: a register of so many bytes, a
constant, or nothing that is kept. No text of a PTX reaches the C: only words that the table has.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.forms import rows_of
from gpuwheel.testing.ptx.syntax import (
    Address,
    Immediate,
    Instruction,
    Negated,
    Pair,
    Register,
    Sink,
    Special,
    Symbol,
    Vector,
    size_of,
)
from gpuwheel.testing.ptx.whole_warps import whole_warp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpuwheel.testing.ptx.form_rows import Role, Row
    from gpuwheel.testing.ptx.syntax import Operand

__all__ = ["Form", "Shape", "form_of", "handlers_source"]

_WIDER = {
    "u16": "u32",
    "s16": "s32",
    "u32": "u64",
    "s32": "s64",
    "u64": "u128",
    "s64": "s128",
    "b16": "b32",
    "b32": "b64",
}
_OUTPUT = r"d\d*|p|q"
_PACKED = {"f16x2": "f16", "bf16x2": "bf16", "u16x2": "u16", "s16x2": "s16", "f32x2": "f32"}
_CARRY = Register("%cc", "b32")
"""CC.CF, which no instruction names: a row says so by an operand `cc`."""
_AS_FLOAT = {"f32": "float", "f16": "float", "bf16": "float", "f64": "double"}
_DECODED = {"f32": "as_f32", "f64": "as_f64", "f16": "from_f16", "bf16": "from_bf16"}
_ENCODED = {"f32": "of_f32", "f64": "of_f64", "f16": "to_f16", "bf16": "to_bf16"}


@dataclass(frozen=True)
class Shape:
    """How one operand is there: `register`, `negated`, `constant`, `sink` or `missing`, and the bytes of a register."""

    kind: str
    size: int = 0

    def __str__(self) -> str:
        return f"{self.kind[0]}{self.size or ''}"


@dataclass(frozen=True)
class Place:
    """One C variable of a handler: of which role, its type, its shape, and which operand of the instruction it is."""

    name: str
    type: str
    shape: Shape
    index: int
    address: bool


@dataclass(frozen=True)
class Form:
    """One form: its row, what its sets are, and the shape of each operand."""

    row: Row
    name: str
    """The instruction as it is written."""
    sets: tuple[tuple[str, str], ...]
    places: tuple[Place, ...]

    @cached_property
    def signature(self) -> str:
        """What tells it from other forms, e.g. `add.rn.f32 r4 r4 c`."""
        return " ".join((self.name, *(str(place.shape) for place in self.places)))

    @cached_property
    def symbol(self) -> str:
        """The name of its C function."""
        return "ptx_" + hashlib.sha256(f"{self.signature}\0{self.row.syntax}".encode()).hexdigest()[:16]


_known: dict[tuple[object, ...], Form | None] = {}


def form_of(instruction: Instruction) -> tuple[Form, tuple[Operand | None, ...]] | None:
    """The form of an instruction and its operands, one for each place; None: the table has no such row."""
    kinds = tuple(map(_kind, instruction.operands))
    key = (instruction.opcode, instruction.modifiers, kinds)
    # A module repeats few forms in many instructions.
    if key not in _known:
        _known[key] = _find(instruction)
    form = _known[key]
    operands = None if form is None else _operands(form.row, instruction)
    return None if form is None or operands is None else (form, operands)


def _kind(operand: Operand) -> object:
    """What decides about the form."""
    match operand:
        case Register():
            return operand.type
        case Address():
            return ("[", _kind(operand.base))
        case Vector():
            return ("{", *map(_kind, operand.elements))
        case Pair():
            return ("|", _kind(operand.first), _kind(operand.second))
        case Negated():
            return ("!", operand.operand.type)
        case _:
            return type(operand)


def _find(instruction: Instruction) -> Form | None:
    for row in rows_of(instruction.opcode):
        sets = row.match(instruction.modifiers)
        operands = None if sets is None else _operands(row, instruction)
        if sets is None or operands is None:
            continue
        row_type = sets.get("type") or (instruction.modifiers[-1] if instruction.modifiers else "")
        places = []
        for index, ((role, name), operand) in enumerate(zip(_expanded(row), operands, strict=True)):
            shape = _shape(operand)
            if shape is None:
                break
            type_name = _type(role, row_type, sets)
            register = operand.operand if isinstance(operand, Negated) else operand
            # Rows may differ in this alone.
            if isinstance(register, Register) and (register.type == "pred") != (type_name == "pred"):
                break
            # Functions for a whole warp take a slot for what the row says it is.
            sized = shape.kind in {"register", "negated"} and not role.address
            if row.native and (_is_unusable(role, name, shape) or (sized and shape.size != size_of(type_name))):
                break
            places.append(Place(name, type_name, shape, index, role.address))
        else:
            return Form(row, instruction.name, tuple(sorted(sets.items())), tuple(places))
    return None


def _is_unusable(role: Role, name: str, shape: Shape) -> bool:
    """What a function for a whole warp cannot take: a constant to write to, nothing to read from."""
    if re.fullmatch(_OUTPUT, name):
        return shape.kind not in {"register", "sink", "missing"}
    if role.address and shape.kind == "register" and shape.size not in {size_of("b32"), size_of("b64")}:
        return True
    return shape.kind == "sink" or (shape.kind == "missing" and not role.optional)


def _expanded(row: Row) -> Iterator[tuple[Role, str]]:
    for role in row.roles:
        if role.elements:
            yield from ((role, f"{role.name}{index}") for index in range(role.elements))
        else:
            yield role, role.name


def _type(role: Role, row_type: str, sets: dict[str, str]) -> str:
    if role.type is None:
        return row_type
    if role.type == "wide":
        return _WIDER[row_type]
    return role.type.format(**sets)


def _operands(row: Row, instruction: Instruction) -> tuple[Operand | None, ...] | None:
    """One for each place of the row, None for what is missing; or None if they are others than the row has."""
    given = list(instruction.operands)
    found: list[Operand | None] = []
    pair: Pair | None = None
    for role in row.roles:
        if role.second or role.name == "cc":
            found.append(_CARRY if role.name == "cc" else pair.second if pair else None)
            continue
        if not given:
            if not role.optional:
                return None
            found.append(None)
            continue
        operand = given.pop(0)
        pair = operand if isinstance(operand, Pair) else None
        if pair:
            operand = pair.first
        if role.elements == 1 and not isinstance(operand, Vector):
            operand = Vector((operand,))
        if role.address != isinstance(operand, Address) or bool(role.elements) != isinstance(operand, Vector):
            return None
        if isinstance(operand, Vector):
            if len(operand.elements) != role.elements:
                return None
            found.extend(operand.elements)
        else:
            found.append(operand)
    return None if given else tuple(found)


def _shape(operand: Operand | None) -> Shape | None:
    if isinstance(operand, Address):
        operand = operand.base
    found = None
    match operand:
        case None:
            found = Shape("missing")
        case Sink():
            found = Shape("sink")
        case Register(type=name):
            found = Shape("register", size_of(name))
        case Negated(operand=of):
            found = Shape("negated", size_of(of.type))
        case Special():
            found = Shape("register", 4)
        case Immediate() | Symbol():
            found = Shape("constant")
        case _:
            pass
    return found


# ---- C


def handlers_source(forms: Iterable[Form]) -> str:
    """The C of these forms, in the order of their names."""
    ordered = sorted(forms, key=lambda form: form.symbol)
    return "\n".join(['#include "handlers.h"', *map(_handler, ordered), ""])


def _handler(form: Form) -> str:
    sets = dict(form.sets)
    for place in form.places:
        sets[f"has_{place.name}"] = str(int(place.shape.kind != "missing"))
        sets[f"size_{place.name}"] = str(place.shape.size)
    meaning = form.row.meaning.format(**sets)
    head = f"/* {form.signature} */\nEXPORT void {form.symbol}(Warp* w, const Instruction* i, u32 on) {{"
    if form.row.native:
        return f"{head} {meaning}; }}"
    outputs = _outputs(form, meaning)
    lines = [head, *(_declared(place, place.name in outputs) for place in form.places)]
    # The offset of an instruction is that of its first address: others come with theirs added (frames.py).
    first = next((place for place in form.places if place.address), None)
    body = [_read(place, "i->offset" if place is first else "0") for place in form.places if place.name not in outputs]
    body += [_result(place) for place in form.places if place.name in outputs]
    packed = _PACKED.get(_row_type(form)) if any(place.type in _PACKED for place in form.places) else None
    body += _halves(form, meaning, outputs, packed) if packed else [f"{meaning};"]
    body += [_written(place) for place in form.places if place.name in outputs and place.shape.kind == "register"]
    text = " ".join(filter(None, body))
    # What touches memory may meet what another lane wrote: those go one after the other.
    loop = "EACH_LANE" if any(place.address for place in form.places) else "EVERY_LANE"
    return "\n".join([*filter(None, lines), *_ahead(form, text), f"  {loop}(on, {{ {text} }})", "}"])


def _ahead(form: Form, text: str) -> list[str]:
    """What a whole warp may do at once, if the form touches memory."""
    address = next((place.shape for place in form.places if place.address), None)
    if address is None:
        return []
    types = {place.name: place.type for place in form.places}
    return whole_warp(text, address.size if address.kind == "register" else None, types)


def _row_type(form: Form) -> str:
    sets = dict(form.sets)
    return sets.get("type") or form.name.rsplit(".", 1)[-1]


def _outputs(form: Form, meaning: str) -> frozenset[str]:
    """The operands that the meaning writes: by convention d, d0 ..., p and q are the only ones, and the carry flag."""
    written = rf"{_OUTPUT}|cc" if "cc =" in meaning else _OUTPUT
    return frozenset(place.name for place in form.places if re.fullmatch(written, place.name))


def _result(place: Place) -> str:
    first = f" = {place.name}_[lane]" if place.name == "cc" else ""
    return f"{_result_type(place.type)} {place.name}{first};"


def _result_type(name: str) -> str:
    """What a meaning computes: halves are double until they are rounded, once, as they are written."""
    return "double" if name in {"f16", "bf16"} else c_type(name)


def c_type(name: str) -> str:
    """The C type of a PTX type."""
    if name in _AS_FLOAT:
        return _AS_FLOAT[name]
    if name == "pred":
        return "u8"
    if name in _PACKED:
        return f"u{8 * size_of(name)}"
    return f"{'s' if name[0] == 's' else 'u'}{name.lstrip('usb') if name[0] in 'usb' else 8 * size_of(name)}"


def _declared(place: Place, written: bool) -> str:  # noqa: FBT001 - said by its name at the only call
    if place.shape.kind in {"register", "negated"}:
        constant = "" if written else "const "
        return f"  {constant}u{8 * place.shape.size}* const {place.name}_ = slot(w, i, {place.index});"
    if place.shape.kind == "constant" and not written:
        return f"  const u64 {place.name}_ = w->constants[i->operand[{place.index}]];"
    return ""


def _read(place: Place, offset: str) -> str:
    if place.shape.kind in {"missing", "sink"}:
        return f"const {c_type(place.type)} {place.name} = 0; (void){place.name};"
    value = f"{place.name}_[lane]" if place.shape.kind != "constant" else f"{place.name}_"
    if place.address:
        narrow = place.shape.size == size_of("u32")
        sum_ = f"(u32)({value} + (u32){offset})" if narrow else f"{value} + (u64)(s64){offset}"
        return f"const u64 {place.name} = {sum_};"
    if place.shape.kind == "negated":
        value = f"!{value}"
    return f"const {c_type(place.type)} {place.name} = {decoded(place.type, value)};"


def decoded(name: str, value: str) -> str:
    """C: a value of this type from the bits of a register."""
    if name in _DECODED:
        return f"{_DECODED[name]}((u{8 * size_of(name)}){value})"
    return f"({c_type(name)}){value}"


def _written(place: Place) -> str:
    bits = f"u{8 * place.shape.size}"
    if place.type in _ENCODED:
        value = f"({bits}){_ENCODED[place.type]}({place.name})"
    elif place.type[0] == "s" and place.type not in _PACKED:
        value = f"({bits})(s{8 * place.shape.size}){place.name}"
    else:
        value = f"({bits}){place.name}"
    return f"{place.name}_[lane] = {value};"


def _halves(form: Form, meaning: str, outputs: frozenset[str], half: str) -> list[str]:
    """The meaning for each half of packed operands; those of other types are the same in both."""
    row_type = _row_type(form)
    mine = [place for place in form.places if place.type == row_type and not place.address]
    bits = 8 * size_of(half)
    lines = [f"{place.name} = 0;" for place in mine if place.name in outputs]
    for shift in (0, bits):
        inner = []
        for place in mine:
            if place.name in outputs:
                inner.append(f"{_result_type(half)} {place.name}_h;")
            else:
                inner.append(f"const {c_type(half)} {place.name}_h = {decoded(half, f'({place.name} >> {shift})')};")
        text = f"{meaning};"
        names = {place.name for place in mine}
        inner.append(_renamed(text, names))
        for place in mine:
            if place.name in outputs:
                encoded = f"{_ENCODED[half]}({place.name}_h)" if half in _ENCODED else f"{place.name}_h"
                inner.append(f"{place.name} |= (u{2 * bits})(u{bits}){encoded} << {shift};")
        lines.append("{ " + " ".join(inner) + " }")
    return lines


def _renamed(text: str, names: set[str]) -> str:
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda found: f"{found[0]}_h" if found[0] in names else found[0], text)
