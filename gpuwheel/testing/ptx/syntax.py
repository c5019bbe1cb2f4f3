"""PTX as values: what `reading` makes of a text and what `program` makes programs of (PTX ISA, sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "Address",
    "Function",
    "Group",
    "Immediate",
    "Instruction",
    "Label",
    "Module",
    "Negated",
    "Operand",
    "Pair",
    "Place",
    "Register",
    "Sink",
    "Special",
    "Symbol",
    "Variable",
    "Vector",
    "size_of",
]

_SIZES = {
    **dict.fromkeys(("pred", "b8", "u8", "s8", "e4m3", "e5m2"), 1),
    **dict.fromkeys(("b16", "u16", "s16", "f16", "bf16", "e4m3x2", "e5m2x2"), 2),
    **dict.fromkeys(("b32", "u32", "s32", "f32", "f16x2", "bf16x2", "u16x2", "s16x2", "tf32"), 4),
    **dict.fromkeys(("b64", "u64", "s64", "f64", "f32x2"), 8),
    "b128": 16,
}


def size_of(type_name: str) -> int:
    """The bytes of a fundamental type, e.g. 4 for `f32`; a predicate takes one.

    Raises:
        KeyError: no type that is known.
    """
    return _SIZES[type_name]


@dataclass(frozen=True, slots=True)
class Register:
    """A register by its name, which is its own in the whole function: one of an inner scope has another name here."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Special:
    """A special register, e.g. `tid.x` or `laneid` (section 10)."""

    name: str


@dataclass(frozen=True, slots=True)
class Immediate:
    """A constant: an integer as its 64 bits, `0f...` as 32 bits of f32, `0d...` and decimals as 64 bits of f64."""

    bits: int
    kind: str = "integer"
    """`integer`, `f32` or `f64`."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """The address of a variable or a function, plus bytes."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Sink:
    """`_`: what is written is not kept."""


@dataclass(frozen=True, slots=True)
class Negated:
    """`!p`: a predicate, the other way round."""

    operand: Register


@dataclass(frozen=True, slots=True)
class Address:
    """`[base+offset]`; what follows a comma inside (tensor coordinates) is in `more`."""

    base: Register | Symbol | Immediate
    offset: int = 0
    more: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True)
class Vector:
    """`{a, b, c, d}`."""

    elements: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """`d|p`: a value and a predicate."""

    first: Operand
    second: Operand


@dataclass(frozen=True, slots=True)
class Group:
    """`(a, b)`: the arguments or results of a call."""

    elements: tuple[Operand, ...]


Operand: TypeAlias = Register | Special | Immediate | Symbol | Sink | Negated | Address | Vector | Pair | Group


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a source, of `.loc`; `inlined_at` is where the function that it lies in was called, if inlined."""

    file: int
    """Of `Module.files`."""
    line: int
    column: int = 0
    function: str | None = None
    inlined_at: Place | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, e.g. opcode `ld`, modifiers `("global", "nc", "f32")`."""

    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Register | None = None
    negated: bool = False
    """Of the guard: `@!p`."""
    line: int = 0
    """In the text of the PTX, from 1."""
    place: Place | None = None

    @property
    def name(self) -> str:
        """As it is written: `ld.global.nc.f32`."""
        return ".".join((self.opcode, *self.modifiers))


@dataclass(frozen=True, slots=True)
class Label:
    """A place to branch to."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable or parameter: `size` and `align` in bytes; 0 bytes is an array without a length (`extern .shared`)."""

    space: str
    """`global`, `const`, `shared`, `local`, `param` or, of a parameter, `reg`."""
    name: str
    type: str
    size: int
    align: int
    initial: bytes | None = None
    """Little endian, as long as `size`; None: not said, which is zeros in `global` and `const`."""
    pointers: tuple[tuple[int, Symbol], ...] = ()
    """Which places of `initial`, by their offset in bytes, hold the address of a symbol (8 bytes, generic)."""
    external: bool = False


@dataclass(slots=True)
class Function:
    """An entry or a device function. A declaration has no body."""

    name: str
    entry: bool
    parameters: tuple[Variable, ...] = ()
    returns: tuple[Variable, ...] = ()
    body: tuple[Instruction | Label, ...] = ()
    registers: dict[str, str] = field(default_factory=dict)
    """The type of each register, by its name."""
    variables: dict[str, Variable] = field(default_factory=dict)
    """Those declared inside, by names that are their own in the function; `param` ones are the arguments of calls."""
    branch_targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The labels of each `.branchtargets`."""
    call_targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The functions of each `.calltargets`."""
    prototypes: dict[str, tuple[tuple[Variable, ...], tuple[Variable, ...]]] = field(default_factory=dict)
    """The results and the parameters of each `.callprototype`."""
    most_threads: tuple[int, ...] | None = None
    """`.maxntid`."""
    required_threads: tuple[int, ...] | None = None
    """`.reqntid`."""
    required_cluster: tuple[int, ...] | None = None
    """`.reqnctapercluster`."""


@dataclass(slots=True)
class Module:
    """One PTX text. Functions are read when `reading.function` is asked for them."""

    version: str
    target: str
    """E.g. `sm_90a`."""
    files: dict[int, str] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    text: str = ""
    spans: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Where each function with a body stands in `text` (start, end), and the line it begins at."""
    declared: frozenset[str] = frozenset()
    """Functions without a body, e.g. `vprintf`."""
    functions: dict[str, Function] = field(default_factory=dict)
    """Those that were read."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Other names of functions, of `.alias`."""
    in_variables: frozenset[str] = frozenset()
    """Functions whose address is in the initial bytes of variables."""
    taken: tuple[str, ...] | None = None
    """Functions whose address is taken; None: not looked for yet."""
    debug_span: tuple[int, int] = (0, 0)
    """Where the strings of `.section .debug_str` stand in `text`."""
    debug_strings: dict[str, str] | None = None
    """By their labels; None: not read."""
