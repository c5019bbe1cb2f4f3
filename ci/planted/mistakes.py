"""Mistakes that people make in kernels, as operators on CUDA source: each finds the places where it can be made.

An operator sees code whose comments are blanked out and gives edits of it. Which names lie in memory is read from the
declarations: arrays in registers have no address, and an index beyond them is the compiler's to see. Fences are left
out: a machine that executes in order cannot show what they are for, nor does compute-sanitizer look for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OPERATORS", "Edit", "Operator", "edits"]


class Edit(NamedTuple):
    """Text that stands for what is between two places of a file."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Operator:
    """One way to be wrong."""

    name: str
    family: str
    find: Callable[[str], Iterator[Edit]]


OPERATORS: list[Operator] = []
# What a loop over elements of a vector, or of what a thread holds, runs to: arrays in registers.
_REGISTERS = re.compile(r"(?:VEC|N|IN|OUT|COUNT|k(?:Held|FlatUnroll|LossUnroll|Part|Width)|\d+)\b")
_BARRIER = re.compile(r"\b(?:__syncthreads|__syncwarp|grid_barrier|named_barrier)\([^;{}]*\);")
_COLLECTIVE = re.compile(r"__(?:shfl\w*|ballot|any|all|match\w*|reduce\w*)_sync\(")
_SIMPLE = re.compile(
    r"^[ \t]+(?!return\b|else\b|if\b|for\b|while\b|break\b|continue\b)[^\s#}/{][^{}\n]*;[ \t]*$", re.MULTILINE
)


def _operator(family: str) -> Callable[[Callable[[str], Iterator[Edit]]], Callable[[str], Iterator[Edit]]]:
    def register(find: Callable[[str], Iterator[Edit]]) -> Callable[[str], Iterator[Edit]]:
        OPERATORS.append(Operator(find.__name__.strip("_"), family, find))
        return find

    return register


def edits(operator: Operator, source: str) -> list[Edit]:
    """What the operator can do to a source, in the order of the text."""
    return list(operator.find(_without_comments(source)))


def _without_comments(source: str) -> str:
    """The same text, as long, with blanks for comments and for lines of the preprocessor."""
    return re.sub(
        r"//[^\n]*|/\*.*?\*/|^#(?:[^\n]*\\\n)*[^\n]*",
        lambda found: re.sub(r"[^\n]", " ", found[0]),
        source,
        flags=re.DOTALL | re.MULTILINE,
    )


def _closing(code: str, opening: int) -> int:
    """Where the bracket at `opening` ends."""
    depth = 0
    for place in range(opening, len(code)):
        depth += (code[place] in "([{") - (code[place] in ")]}")
        if depth == 0:
            return place
    return len(code) - 1


def _arguments(code: str, opening: int) -> list[tuple[int, int]]:
    """The arguments of a call, by their places; `opening` is its bracket."""
    end, depth, start, found = _closing(code, opening), 0, opening + 1, []
    for place in range(opening + 1, end + 1):
        if (code[place] == "," and depth == 0) or place == end:
            left = start + len(code[start:place]) - len(code[start:place].lstrip())
            found.append((left, left + len(code[left:place].rstrip())))
            start = place + 1
        depth += (code[place] in "([{") - (code[place] in ")]}")
    return found


def _statement_end(code: str, start: int) -> int:
    """Where the statement that begins at or after `start` ends: its semicolon, or the bracket of its block."""
    place = start
    while place < len(code):
        if code[place] in "([":
            place = _closing(code, place)
        elif code[place] == "{":
            return _closing(code, place) + 1
        elif code[place] == ";":
            return place + 1
        elif code[place] == "}":
            return start
        place += 1
    return start


def _memory_names(code: str) -> set[str]:
    """Pointers and arrays in shared memory, by their declarations."""
    pointers = re.findall(r"\*\s*(?:const\s+|__restrict__\s+)*(\w+)\s*(?=[,)=;])", code)
    shared = re.findall(r"__shared__\s[^;]*;", code)
    return {*pointers, *(name for line in shared for name in re.findall(r"(\w+)\s*(?:\[|;|,)", line))}


def _subscripts(code: str) -> Iterator[tuple[int, int]]:
    """The indices of accesses to memory, by their places."""
    names = _memory_names(code)
    for found in re.finditer(r"\b(\w+)\[", code):
        before = code[: found.start()].rstrip()[-1:]
        declaration = (before.isalnum() or before in ">*&") and not code[: found.start()].rstrip().endswith("return")
        line = code[code.rfind("\n", 0, found.start()) + 1 : found.start()]
        vector = re.match(r"[jkn]\]", code[found.end() :]) is not None  # element of a vector in registers
        if found[1] in names and not declaration and not vector and "__shared__" not in line:
            yield found.end(), _closing(code, found.end() - 1)
    for found in re.finditer(r"\b(?:load<[^<>]*>|store|apply<[^<>]*>)\(", code):
        arguments = _arguments(code, found.end() - 1)
        which = 2 if found[0].startswith("apply") else 1
        declared = re.search(r"__forceinline__[^;{]*$", code[: found.start()]) is not None
        if len(arguments) > which + (found[0] == "store(") and not declared:
            yield arguments[which]


@_operator("index")
def _one_further(code: str) -> Iterator[Edit]:
    for start, end in _subscripts(code):
        yield Edit(start, end, f"({code[start:end]}) + 1")


@_operator("index")
def _one_before(code: str) -> Iterator[Edit]:
    for start, end in _subscripts(code):
        yield Edit(start, end, f"({code[start:end]}) - 1")


@_operator("index")
def _other_dimension(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\b(?:threadIdx|blockDim)\.([xy])\b", code):
        yield Edit(found.start(1), found.end(1), "y" if found[1] == "x" else "x")


@_operator("bound")
def _inclusive(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"(?<=[\w\])]) (<) (?=[\w(])", code):
        if not _REGISTERS.match(code, found.end()):
            yield Edit(found.start(1), found.end(1), "<=")


@_operator("bound")
def _half_guard(code: str) -> Iterator[Edit]:
    for found in re.finditer(
        r"(?:\b\w+(?:\.\w+)* (?:<|>|==|>=) [^&|(){};]+ && )|(?: && \w+(?:\.\w+)* (?:<|>=) [\w.]+)", code
    ):
        yield Edit(found.start(), found.end(), "")


@_operator("bound")
def _no_guard(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\bif \(", code):
        end = _closing(code, found.end() - 1)
        condition = code[found.end() : end]
        if re.search(r" (?:<|>=) |inside", condition) and "constexpr" not in condition:
            yield Edit(found.end(), end, "false" if re.match(r"\) (?:return|continue)", code[end:]) else "true")


@_operator("bound")
def _rounded_up(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\b\w+ / (?:VEC|N|kWarp)\b", code):
        yield Edit(found.start(), found.end(), f"({found[0]} + 1)")


@_operator("barrier")
def _no_barrier(code: str) -> Iterator[Edit]:
    for found in _BARRIER.finditer(code):
        yield Edit(found.start(), found.end(), ";")


@_operator("barrier")
def _later_barrier(code: str) -> Iterator[Edit]:
    for found in _BARRIER.finditer(code):
        end = _statement_end(code, found.end())
        if end > found.end():
            yield Edit(found.start(), end, code[found.end() : end].strip() + " " + found[0])


@_operator("barrier")
def _some_at_barrier(code: str) -> Iterator[Edit]:
    for found in _BARRIER.finditer(code):
        yield Edit(found.start(), found.start(), "if (threadIdx.x % 32 < 31) ")


@_operator("barrier")
def _one_warp_at_barrier(code: str) -> Iterator[Edit]:
    for found in _BARRIER.finditer(code):
        if "warp" not in found[0]:
            yield Edit(found.start(), found.start(), "if (threadIdx.x < 32) ")


@_operator("mask")
def _half_mask(code: str) -> Iterator[Edit]:
    for found in _COLLECTIVE.finditer(code):
        yield Edit(*_arguments(code, found.end() - 1)[0], "0x0000ffffu")


@_operator("mask")
def _no_last_lane(code: str) -> Iterator[Edit]:
    for found in _COLLECTIVE.finditer(code):
        yield Edit(*_arguments(code, found.end() - 1)[0], "0x7fffffffu")


@_operator("mask")
def _absent_lanes(code: str) -> Iterator[Edit]:
    for found in _COLLECTIVE.finditer(code):
        end = _closing(code, found.end() - 1) + 1
        value = code[slice(*_arguments(code, found.end() - 1)[1])]
        yield Edit(found.start(), end, f"(threadIdx.x % 32 < 24 ? {code[found.start() : end]} : {value})")


def _extents(code: str) -> Iterator[tuple[int, int]]:
    for line in re.finditer(r"__shared__\s[^;]*;", code):
        for found in re.finditer(r"\[([^\]]+)\]", line[0]):
            yield line.start() + found.start(1), line.start() + found.end(1)


@_operator("shared size")
def _one_less(code: str) -> Iterator[Edit]:
    for start, end in _extents(code):
        yield Edit(start, end, f"({code[start:end]}) - 1")


@_operator("shared size")
def _half_size(code: str) -> Iterator[Edit]:
    for start, end in _extents(code):
        yield Edit(start, end, f"({code[start:end]}) / 2")


_ORDERS = re.compile(r"_sync|__sync|_barrier\(|copy_async|commit\(|wait<|wait_phase|atomic")


@_operator("order")
def _swapped(code: str) -> Iterator[Edit]:
    names = _memory_names(code)
    for first, second in pairwise(_SIMPLE.finditer(code)):
        between = code[first.end() : second.start()]
        touched = [{name for name in names if re.search(rf"\b{name}\b", line[0])} for line in (first, second)]
        ordering = [bool(_ORDERS.search(line[0])) for line in (first, second)]
        writes = any(re.search(r"\w\]+ [+|]?= |\bstore\(", line[0]) for line in (first, second))
        matters = any(ordering) and all(one or names for one, names in zip(ordering, touched, strict=True))
        declared = "__shared__" in first[0] + second[0]
        if not between.strip() and not declared and (matters or (writes and touched[0] & touched[1])):
            yield Edit(first.start(), second.end(), second[0].strip("\n") + between + first[0].strip("\n"))


@_operator("alignment")
def _shifted_vector(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"reinterpret_cast<[^()]*(?:Vector<T, (?:VEC|N)>|float4|int4|float2)\s*\*>\(", code):
        end = _closing(code, found.end() - 1)
        yield Edit(found.end(), end, f"({code[found.end() : end]}) + 1")
    for found in re.finditer(r"\bload<(?:VEC|N)>\(", code):
        start, end = _arguments(code, found.end() - 1)[0]
        yield Edit(start, end, f"({code[start:end]}) + 1")


@_operator("wait")
def _no_wait(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\bwait<\d>\(\);|\bwait_phase\([^;{}]*\);", code):
        yield Edit(found.start(), found.end(), ";")


@_operator("wait")
def _one_group_more(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\bwait<(\d)>\(\);", code):
        yield Edit(found.start(1), found.end(1), str(int(found[1]) + 1))


@_operator("wait")
def _no_commit(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\bcommit\(\);", code):
        yield Edit(found.start(), found.end(), ";")


@_operator("race")
def _plain(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\batomic(Add|Max|Min|Or)\(", code):
        end = _closing(code, found.end() - 1) + 1
        yield Edit(found.start(), end, _plainly(code, found[1], found.end() - 1))


def _plainly(code: str, what: str, opening: int) -> str:
    """An atomic as people write it who do not know of them; its value is the old one."""
    pointer, value = (code[slice(*place)] for place in _arguments(code, opening)[:2])
    new = {
        "Add": "old + ({})",
        "Max": "old > ({0}) ? old : ({0})",
        "Min": "old < ({0}) ? old : ({0})",
        "Or": "old | ({})",
    }
    return f"[&] {{ auto* at = {pointer}; const auto old = *at; *at = {new[what].format(value)}; return old; }}()"


@_operator("race")
def _no_reset(code: str) -> Iterator[Edit]:
    for found in re.finditer(r"\b\w+\[[^;={}]*\] = (?:0|0u|0\.0f|-1);", code):
        yield Edit(found.start(), found.end(), ";")
