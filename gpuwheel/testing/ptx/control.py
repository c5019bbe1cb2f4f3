"""Instructions that change where a thread goes or make it wait: what the interpreter itself does (native/execute.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.syntax import Instruction, Negated

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.syntax import Operand

__all__ = ["KINDS", "Barrier", "barrier_of"]

KINDS = (
    "plain",
    "branch",
    "table",
    "exit",
    "barrier",
    "collective",
    "call",
    "return",
    "trap",
    "yield",
    "missing",
)
"""`Kind` of native/machine.h, in its order."""

_MODES = ("sync", "arrive", "popc", "and", "or", "cluster_arrive", "cluster_wait")


@dataclass(frozen=True)
class Barrier:
    """A barrier as the interpreter sees it: `BarrierMode`, and its operands or None (PTX ISA, 9.7.13.1 to 9.7.13.4)."""

    mode: int
    aligned: bool
    destination: Operand | None = None
    number: Operand | None = None
    threads: Operand | None = None
    predicate: Operand | None = None
    negated: bool = False


def barrier_of(instruction: Instruction) -> Barrier | None:
    """What a `bar` or `barrier` instruction asks for; None: it has another form than the manual's."""
    words = [word for word in instruction.modifiers if word not in {"cta", "acquire", "release", "relaxed"}]
    # `bar` is `barrier` with .aligned.
    aligned = instruction.opcode == "bar" or "aligned" in words
    words = [word for word in words if word != "aligned"]
    given = list(instruction.operands)
    match words:
        case ["cluster", ("arrive" | "wait") as what] if not given:
            return Barrier(_MODES.index(f"cluster_{what}"), aligned)
        case ["sync"] if len(given) in {1, 2}:
            return Barrier(_MODES.index("sync"), aligned, number=given[0], threads=given[1] if given[1:] else None)
        case ["arrive"] if len(given) == 2:  # noqa: PLR2004 - a and b
            return Barrier(_MODES.index("arrive"), aligned, number=given[0], threads=given[1])
        case ["red", ("popc" | "and" | "or") as what, "u32" | "pred"] if len(given) in {3, 4}:
            last = given.pop()
            predicate, negated = (last.operand, True) if isinstance(last, Negated) else (last, False)
            threads = given[2] if len(given) > 2 else None  # noqa: PLR2004 - d, a, b
            return Barrier(_MODES.index(what), aligned, given[0], given[1], threads, predicate, negated)
    return None
