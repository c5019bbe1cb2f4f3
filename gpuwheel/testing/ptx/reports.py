"""What the checks of the interpreter found, for people and machines: an entry for each mistake, not for each thread."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel.binary.mangled import demangle_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gpuwheel.testing.ptx.native_types import RawReport
    from gpuwheel.testing.ptx.program import Program
    from gpuwheel.testing.ptx.syntax import Instruction, Module, Place

__all__ = ["Allocation", "Mistake", "Where", "as_annotations", "as_json", "as_text", "merged", "mistake_of"]

_NONE = 0xFFFFFFFF
_MANY = 0x7FFFFFFF
_NULL = 1 << 16  # no allocation begins below
_MOST_LINES = 16  # of an instruction
_NOUNS = ("read", "write", "atomic")
_WITH_ARTICLE = ("a read", "a write", "an atomic operation")
_OTHERS = {"wrote": "wrote", "read": "read", "changed atomically": "changed by an atomic", "copies to": "copies to"}
_VIRTUAL = "/proc/self/cwd/"  # the project, as device code was compiled (compile.device.command_line)


@dataclass(frozen=True)
class Allocation:
    """Global memory that someone made, by its addresses; `end` exclusive."""

    start: int
    end: int
    made: str = ""
    """Where, or by what: "cudaMalloc in test_swiglu", "argument 2"."""
    freed: str | None = None
    """When, if it is no longer there."""


@dataclass(frozen=True)
class Where:
    """A line of a source."""

    file: str
    line: int
    function: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" ({self.function})" if self.function else "")


@dataclass(frozen=True)
class Mistake:
    """One mistake: the first time that an instruction made it, and how often it did."""

    kind: str
    """Of `native_types.REPORT_KINDS`."""
    what: str
    """The sentence: what was done to which memory."""
    access: str
    """`read`, `write` or `atomic`; empty where no memory was touched."""
    kernel: str
    """With template arguments; empty for a call of the host."""
    block: tuple[int, int, int]
    thread: tuple[int, int, int]
    address: int | None
    instruction: str
    """As the PTX has it."""
    ptx_line: int
    places: tuple[Where, ...]
    """In the sources, the innermost first; then where each was inlined. Empty without `lineinfo`."""
    count: int = 1

    def __str__(self) -> str:
        lines = [self.what]
        if self.kernel:
            lines.append(f"  in {self.kernel}, block {self.block}, thread {self.thread}")
        lines += [f"  {'at' if not index else 'inlined at'} {place}" for index, place in enumerate(self.places)]
        if self.instruction:
            lines.append(f"  line {self.ptx_line} of the PTX: {self.instruction}")
        if self.count > 1:
            lines.append(f"  {self.count} times")
        return "\n".join(lines)


def mistake_of(
    raw: RawReport,
    program: Program,
    module: Module,
    block: Sequence[int],
    allocation: Callable[[int], Allocation | None] = lambda _: None,
) -> Mistake:
    """What a report says.

    Args:
        raw: the report.
        program: that made it.
        module: the program's.
        block: the block's size in threads, x, y, z.
        allocation: the memory that an address lies in or that is nearest to it, if that is known.
    """
    instruction = program.instructions[raw.instruction] if raw.instruction < len(program.instructions) else None
    (kernel,) = demangle_foreign([program.kernel])
    in_global = raw.kind_name in {"out-of-bounds", "misaligned", "global-uninitialised", "global-race", "read-only"}
    known = (allocation(raw.address) if in_global else None) or (
        Allocation(raw.start, raw.end) if raw.start and in_global else None
    )
    return Mistake(
        kind=raw.kind_name,
        what=_sentence(raw, known, block),
        access=_NOUNS[min(raw.write, 2)] if raw.bytes and raw.kind_name != "bad-barrier" else "",
        kernel=kernel.removeprefix("void "),
        block=(raw.block[0], raw.block[1], raw.block[2]),
        thread=(raw.thread[0], raw.thread[1], raw.thread[2]),
        address=raw.address or None,
        instruction=_as_written(instruction, module),
        ptx_line=instruction.line if instruction else 0,
        places=tuple(_chain(instruction.place if instruction else None, module)),
        count=raw.count,
    )


def merged(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """One for each kind, access, kernel and place, with the sum of their counts; in their order."""
    found: dict[tuple[object, ...], Mistake] = {}
    for each in mistakes:
        key = (each.kind, each.access, each.kernel, each.places or (each.ptx_line, each.instruction or each.what))
        known = found.get(key)
        found[key] = each if known is None else replace(known, count=known.count + each.count)
    return list(found.values())


def as_text(mistakes: Iterable[Mistake]) -> str:
    """For a terminal, one after the other."""
    return "\n".join(map(str, mistakes))


def as_json(mistakes: Iterable[Mistake]) -> str:
    """A document with a version: `{"version": 1, "mistakes": [...]}`."""
    return json.dumps({"version": 1, "mistakes": [asdict(each) for each in mistakes]}, indent=2)


def as_annotations(mistakes: Iterable[Mistake]) -> str:
    """Workflow commands that mark source lines on GitHub (its documentation, "Workflow commands")."""
    return "\n".join(map(_annotation, mistakes))


def _annotation(each: Mistake) -> str:
    place = f"file={_escaped(each.places[0].file)},line={each.places[0].line}," if each.places else ""
    title = f"{each.kind} in {each.kernel}" if each.kernel else each.kind
    return f"::error {place}title={_escaped(title)}::{_escaped(str(each), message=True)}"


def _escaped(text: str, *, message: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text if message else text.replace(":", "%3A").replace(",", "%2C")


def _as_written(instruction: Instruction | None, module: Module) -> str:
    if instruction is None:
        return ""
    lines = module.text.split("\n")[instruction.line - 1 :] if instruction.line > 0 else []
    text = lines[0].strip() if lines else ""
    for more in lines[1:_MOST_LINES]:  # a call stands on several
        if ";" in text:
            break
        text = f"{text} {more.strip()}"
    # fatbins may hold a PTX with several instructions in a line
    return text if text.count(";") == 1 and instruction.opcode in text else instruction.name


def _chain(place: Place | None, module: Module) -> Iterable[Where]:
    while place is not None:
        file = module.files.get(place.file, f"file {place.file}").removeprefix(_VIRTUAL)
        function = demangle_foreign([place.function])[0] if place.function else None
        yield Where(file, place.line, function)
        place = place.inlined_at


# ---- sentences


_SENTENCES = {
    "out-of-bounds": "out of bounds: {access} at {address}, {beside}",
    "misaligned": "misaligned: {access} at {address}, which is no multiple of {bytes}",
    "read-only": "read only: {access} at {address}, {inside}",
    "shared-out-of-bounds": "out of bounds: {access} at byte {offset} of shared memory (there are {end} bytes)",
    "gap": "out of bounds: {access} at byte {offset} of shared memory, beyond the variables that are there",
    "local-out-of-bounds": "out of bounds: {access} at byte {offset} of local memory (there are {end} bytes)",
    "parameter-out-of-bounds": "out of bounds: {access} at byte {offset} of the parameters (there are {end} bytes)",
    "global-uninitialised": "uninitialised: {access} at {address} that nothing wrote, {inside}",
    "shared-uninitialised": "uninitialised: {access} at byte {offset} of shared memory that nothing wrote",
    "local-uninitialised": "uninitialised: {access} at byte {offset} of local memory that nothing wrote",
    "shared-race": "race: {access} at byte {offset} of shared memory, which thread {thread} {how} since the "
    "last barrier",
    "global-race": "race: {access} at {address}, which {block} {how} in this launch without order, {inside}",
    "block-race": "race: {access} at {address}, which the warp of thread {thread} {how} since the last barrier, "
    "{inside}",
    "unfinished-copy": "unfinished copy: {access} at byte {offset} of shared memory, to which thread {thread} "
    "copies, without a wait",
    "divergent-barrier": "divergent barrier: lanes {lanes} of the warp are elsewhere",
    "absent-lanes": "absent lanes: the instruction needs lanes {lanes}, which are elsewhere",
    "not-a-member": "not a member: a lane takes part that the mask does not name",
    "bad-barrier": "bad barrier: number {other} for {bytes} threads (expected below 16, and whole warps)",
    "deadlock": "deadlock: the thread waits, and nothing is left that could end it",
    "too-long": "too long: the launch did not end within its steps",
    "too-deep": "too deep: calls in calls",
    "no-meaning": "not done here: the instruction has no meaning in the interpreter",
    "assertion": "assertion failed: {text}",
    "trap": "trap: {text}",
}


def _sentence(raw: RawReport, memory: Allocation | None, block: Sequence[int]) -> str:
    others = raw.other_block in {_NONE, _MANY}
    text = raw.text.decode(errors="replace")
    fields = {
        "access": f"{_WITH_ARTICLE[min(raw.write, 2)]} of {raw.bytes} bytes",
        "address": f"{raw.address:#x}" if memory else f"byte {raw.address}",
        "beside": _beside(raw.address, raw.bytes, memory),
        "inside": _inside(raw.address, memory),
        "offset": raw.address - (1 << 64) if raw.address >> 63 else raw.address,
        "end": raw.end,
        "bytes": raw.bytes,
        "other": raw.other,
        "thread": _thread(raw.other, block),
        "block": "another block" if others else f"block {raw.other_block}",
        "how": _OTHERS.get(text, "touched"),
        "lanes": _lanes(raw.other),
        "text": text or "the kernel ends itself",
    }
    among_warps = raw.kind_name == "global-race" and raw.other != _NONE
    key = "gap" if text == "gap" else "block-race" if among_warps else raw.kind_name
    return _SENTENCES[key].format(**fields)


def _beside(address: int, count: int, memory: Allocation | None) -> str:
    if memory is None:
        return "where there is no memory"
    size = f"an allocation of {memory.end - memory.start} bytes{_made(memory)}"
    if address < _NULL:
        return f"{address} bytes after a null pointer" if address else "a null pointer"
    if memory.freed and memory.start <= address < memory.end:
        return f"in {size}, which was freed: {memory.freed}"
    if address >= memory.end:
        return f"{address - memory.end} bytes after the end of {size}"
    if address < memory.start:
        return f"{memory.start - address} bytes before {size}"
    return f"{address + count - memory.end} bytes of them after the end of {size}"


def _inside(address: int, memory: Allocation | None) -> str:
    if memory is None:
        return "in memory of nobody"
    return f"byte {address - memory.start} of an allocation of {memory.end - memory.start} bytes{_made(memory)}"


def _made(memory: Allocation) -> str:
    return f" ({memory.made})" if memory.made else ""


def _thread(linear: int, block: Sequence[int]) -> tuple[int, int, int]:
    x, y = max(block[0], 1), max(block[1], 1) if len(block) > 1 else 1
    return linear % x, linear // x % y, linear // x // y


def _lanes(mask: int) -> str:
    lanes = [lane for lane in range(32) if mask >> lane & 1]
    runs: list[list[int]] = []
    for lane in lanes:
        if runs and lane == runs[-1][1] + 1:
            runs[-1][1] = lane
        else:
            runs.append([lane, lane])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs) or "none"
