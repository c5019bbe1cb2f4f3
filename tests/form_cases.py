"""Forms of the table as PTX, and values for them: every member of each set of every row, in one module of kernels."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from ptx_meanings import bits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.testing.ptx.form_rows import Row

__all__ = ["ROOMS", "Case", "cases_of", "element_bits", "inputs_of", "module_of", "rows_in"]

ROOMS = ("bits", "comparisons", "conversions", "floats", "halves", "integers", "moves", "video")
"""The modules of the table whose rows say what one lane computes by itself."""


_FEW = 10
"""Rows with no more forms than this have all of them tested; others each member of each set."""
_MANY = 10
_TABLES = (0x80, 0xFE, 0x96, 0xE8, 0x1A, 0x40, 0xCA, 0x00)
"""Of lop3."""
_LONGER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}


@dataclass(frozen=True)
class Case:
    """One form: what is written, and the types of what is read and written."""

    row: Row = field(compare=False)
    words: tuple[str, ...]
    types: tuple[tuple[str, str], ...]
    """Of each operand, in the order of the row; `cc` is the carry flag."""
    constants: tuple[tuple[str, int], ...] = ()
    """Operands that have to be constants."""

    @property
    def opcode(self) -> str:
        return self.row.opcode

    @property
    def name(self) -> str:
        return ".".join((self.opcode, *self.words))

    @property
    def all_types(self) -> dict[str, str]:
        """Of each operand and result; `cc` is its own."""
        return {**dict(self.types), **({"cc": "cc"} if "cc" in dict(self.types) else {})}

    @property
    def outputs(self) -> tuple[str, ...]:
        written = [name for name, _ in self.types if name in {"d", "p", "q"} or (name[0] == "d" and name[1:].isdigit())]
        return (*written, "cc") if "cc" in dict(self.types) and "cc" in self.words else tuple(written)

    @property
    def inputs(self) -> tuple[str, ...]:
        takes_carry = self.opcode in {"addc", "subc", "madc"}
        return tuple(
            name
            for name, _ in self.types
            if (takes_carry if name == "cc" else name not in self.outputs and name not in dict(self.constants))
        )


def rows_in(room: str) -> tuple[Row, ...]:
    """The rows of a module of the table."""
    rows: tuple[Row, ...] = import_module(f"gpuwheel.testing.ptx.forms.{room}").ROWS
    return rows


def cases_of(row: Row) -> Iterator[Case]:
    """Forms in which every member of each set of a row is, and every optional part is there and missing."""
    choices: list[list[tuple[str, str]]] = []
    for name, optional in row.modifiers:
        members = list(row.sets.get(name, (name,)))
        choices.append([(name, member) for member in ([""] if optional else []) + members])
    optional_roles = [role.name for role in row.roles if role.optional]
    for name in optional_roles:
        if not any(chosen[0][0] == "boolop" for chosen in choices):
            choices.append([(f"has_{name}", "yes"), (f"has_{name}", "")])
    if any(role.second for role in row.roles):
        choices.append([("pair", "yes"), *([("pair", "")] if row.opcode != "lop3" else [])])
    if row.opcode == "lop3":
        choices.append([("e", f"{table}") for table in _TABLES])
    total = 1
    for each in choices:
        total *= len(each)
    chosen: list[tuple[tuple[str, str], ...]]
    if total <= _FEW:
        chosen = list(itertools.product(*choices))
    else:
        most = max(map(len, choices))
        # In step, and once more shifted against each other: members meet others than their neighbours.
        chosen = [
            tuple(each[(turn + shift * place) % len(each)] for place, each in enumerate(choices))
            for shift in ((0, 1) if most < _MANY else (0,))
            for turn in range(most)
        ]
    for found in dict.fromkeys(chosen):
        yield _case(row, dict(found))


def _case(row: Row, found: dict[str, str]) -> Case:
    words = tuple(found[name] for name, _ in row.modifiers if found[name])
    row_type = found.get("type") or words[-1]
    types = []
    for role in row.roles:
        if role.optional and not (found.get("boolop") or found.get(f"has_{role.name}")):
            continue
        if role.second and not found.get("pair"):
            continue
        of = row_type if role.type is None else role.type.format(**found)
        of = _LONGER[row_type] if of == "wide" else of
        names = [f"{role.name}{index}" for index in range(role.elements)] if role.elements else [role.name]
        types += [(name, of) for name in names]
    constants = (("e", int(found["e"])),) if "e" in found else ()
    return Case(row, words, tuple(types), constants)


# ---- PTX


def _register(name: str) -> str:
    """The type of the register that holds a type."""
    return "pred" if name == "pred" else "b8" if name == "b8" else f"b{max(16, bits_of(name))}"


def _kernel(number: int, case: Case) -> str:
    types = dict(case.types)
    parameters = ", ".join(f".param .u64 p{index}" for index in range(len(case.inputs) + len(case.outputs)))
    lines = [
        f".visible .entry k{number}({parameters}) {{",
        ".reg .b32 %thread, %block, %index, %carry; .reg .b64 %address;",
    ]
    lines += [f".reg .{_register(of)} %v_{name};" for name, of in case.types if name != "cc"]
    lines += [f".reg .b16 %v_{name}_byte;" for name, of in case.types if of == "pred"]
    lines += ["mov.u32 %thread, %tid.x;", "mov.u32 %block, %ctaid.x;", "mad.lo.u32 %index, %block, 32, %thread;"]
    for index, name in enumerate(case.inputs):
        lines += _address(index, types[name])
        lines += _load(name, types[name])
    lines.append(f"{case.name} {_operands(case)};")
    for index, name in enumerate(case.outputs):
        lines += _address(len(case.inputs) + index, types[name])
        lines += _store(name, types[name])
    return "\n".join([*lines, "ret;", "}"])


def element_bits(name: str) -> int:
    """The bits of an element in memory."""
    return 32 if name == "cc" else 8 if name in {"pred", "b8"} else max(16, bits_of(name))


def _address(index: int, of: str) -> list[str]:
    return [
        f"ld.param.u64 %address, [p{index}];",
        f"mad.wide.u32 %address, %index, {element_bits(of) // 8}, %address;",
    ]


def _load(name: str, of: str) -> list[str]:
    if name == "cc":  # 0xffffffff + carry carries
        return ["ld.global.b32 %carry, [%address];", "add.cc.u32 %carry, %carry, 0xffffffff;"]
    if of == "pred":
        return [f"ld.global.u8 %v_{name}_byte, [%address];", f"setp.ne.b16 %v_{name}, %v_{name}_byte, 0;"]
    return [f"ld.global.b{element_bits(of)} %v_{name}, [%address];"]


def _store(name: str, of: str) -> list[str]:
    if name == "cc":
        return ["addc.u32 %carry, 0, 0;", "st.global.b32 [%address], %carry;"]
    if of == "pred":
        return [f"selp.b16 %v_{name}_byte, 1, 0, %v_{name};", f"st.global.b8 [%address], %v_{name}_byte;"]
    return [f"st.global.b{element_bits(of)} [%address], %v_{name};"]


def _operands(case: Case) -> str:
    given = [name for name, _ in case.types]
    texts: list[str] = []
    for role in case.row.roles:
        if role.name == "cc":
            continue
        if role.elements:
            texts.append("{" + ", ".join(f"%v_{role.name}{index}" for index in range(role.elements)) + "}")
        elif role.name in given:
            if role.second:
                texts[-1] += f"|%v_{role.name}"
            else:
                texts.append(str(dict(case.constants).get(role.name, f"%v_{role.name}")))
    return ", ".join(texts)


def module_of(cases: Sequence[Case]) -> str:
    """One PTX text with a kernel for each case: k0, k1, ..."""
    head = ".version 9.0\n.target sm_120a\n.address_size 64\n"
    return head + "\n".join(_kernel(number, case) for number, case in enumerate(cases))


# ---- values


def _edges(of: str) -> list[int]:
    bits = bits_of(of)
    full = (1 << bits) - 1
    if of == "pred":
        return [0, 1]
    if of in _FLOAT_EDGES:
        return _FLOAT_EDGES[of]
    if of in {"f16x2", "bf16x2", "u16x2", "s16x2", "f32x2"}:
        inner = _edges(of[:-2])
        half = bits // 2
        return [low | high << half for low, high in zip(inner, inner[7:] + inner[:7], strict=True)]
    small = [0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200, 255]
    ends = [full, full - 1, full >> 1, (full >> 1) + 1, full // 3, full // 3 * 2, 0x12345678 & full]
    return [value & full for value in (*small, *ends)]


def _float_edges(exponent: int, digits: int) -> list[int]:
    one = ((1 << (exponent - 1)) - 1) << digits
    infinity = ((1 << exponent) - 1) << digits
    unit = 1 << digits
    halves = [one, one + 1, one - unit, one + unit, one + unit // 2, one + (unit >> 1) + 1, one - 3 * unit]
    positive = [0, 1, unit - 1, unit, unit + 1, infinity - 1, infinity, infinity + unit // 2 + 1, *halves]
    return [value | sign << (exponent + digits) for value in positive for sign in (0, 1)]


_FLOAT_EDGES = {
    "f16": _float_edges(5, 10),
    "bf16": _float_edges(8, 7),
    "f32": _float_edges(8, 23),
    "f64": _float_edges(11, 52),
}
# Where conversions from f32 and f64 turn: ties of the halves, ends of the integers, of e4m3, e5m2, ...
_TURNS = [
    *(1.5, 2.5, -0.5, 0.49999997, 127.5, 128.0, 255.5, 256.0, 32767.5, 65504.0, 65519.0, 65520.0, 65535.5, 65536.0),
    *(448.0, 464.0, 480.0, 57344.0, 61440.0, 6.0, 5.0, 7.0, 7.5, 28.0, 30.0, 0.25, 0.125, 2.0**-9, 2.0**-10, 2.0**-17),
    *(2.0**31, 2.0**32, 2.0**63, 2.0**64, -(2.0**31), -(2.0**63), 2.0**-24, 2.0**-25, 1.5 * 2.0**-25, 2.0**-14),
    *(1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 1 + 2.0**-11 + 2.0**-20),
    *(3.3895313892515355e38, 3.39617752923046e38, 3.4011621342146535e38, 1.0000001, 3.1415927, 100.0, 1e10, 6.1e-5),
]


def _drawn(of: str, random_: random.Random) -> int:
    if of == "pred":
        return random_.getrandbits(1)
    bits = bits_of(of)
    if of in _FLOAT_EDGES and random_.random() < 0.7:  # near each other, so that they cancel and tie
        low = {"f16": 5, "bf16": 8, "f32": 8, "f64": 11}[of]
        digits = bits - 1 - low
        bias = (1 << (low - 1)) - 1
        span = min(bias - 1, 30)
        exponent = bias + random_.randint(-span, span) if random_.random() < 0.5 else bias + random_.randint(-2, 2)
        mantissa = random_.getrandbits(digits) & (~0 << random_.choice((0, 0, digits // 2, digits - 3)))
        return random_.getrandbits(1) << (bits - 1) | exponent << digits | mantissa & ((1 << digits) - 1)
    value = random_.getrandbits(bits)
    return value >> random_.randrange(bits) if random_.random() < 0.3 and of not in _FLOAT_EDGES else value


def inputs_of(case: Case, seed: int) -> list[tuple[int, ...]]:
    """Values of the operands that are read: those at the edges with each other, and drawn ones."""
    random_ = random.Random(seed)  # noqa: S311 - the same values each time
    types = dict(case.types)
    names = case.inputs
    edges = []
    for name in names:
        of = "pred" if name == "cc" else types[name]
        found = list(_edges(of))
        if len(names) <= 3 and of in {"f32", "f64"} and case.opcode in {"cvt", "ex2", "lg2", "sin", "cos", "tanh"}:
            kind = np.float32 if of == "f32" else np.float64
            with np.errstate(over="ignore"):
                turns = np.array(_TURNS, kind).view(np.uint32 if of == "f32" else np.uint64)
            found += [int(bits) for bits in turns]
        edges.append(found)
    count = len(names)
    if count == 1:
        found = [(value,) for value in edges[0]]
    else:
        most = {2: 120, 3: 160}.get(count, 200)
        every = list(itertools.product(*edges)) if _product(map(len, edges)) <= most else None
        found = every or [tuple(random_.choice(each) for each in edges) for _ in range(most)]
    drawn = [tuple(_drawn("pred" if n == "cc" else types[n], random_) for n in names) for _ in range(60)]
    every = found + drawn + list(_telling(case, random_))
    return every + every[: -len(every) % 32]  # whole warps


def _product(values: Iterator[int]) -> int:
    total = 1
    for value in values:
        total *= value
    return total


def _telling(case: Case, random_: random.Random) -> Iterator[tuple[int, ...]]:
    """Values at which a second rounding shows: a product that is a tie of bf16, and a little more or less."""
    types = dict(case.types)
    if case.opcode == "fma" and types["d"] in {"bf16", "bf16x2"} and len(case.inputs) == 3:
        repeat = 0x10001 if types["d"] == "bf16x2" else 1
        for _ in range(60):
            # (1 + odd / 128) * 1.5 has 9 digits: half of a last digit is left over.
            a = 0x3F80 | random_.randrange(1, 64, 2)
            yield a * repeat, 0x3FC0 * repeat, random_.choice((0x1000, 0x9000, 0x2F80, 0xAF80)) * repeat
