"""Mistakes that were made on the pretend GPU, by kernels and by calls of the host: facts of native/mistakes.c, said in
sentences.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gpuwheel.binary.mangled import function_name
from gpuwheel.errors import GpuwheelError
from gpuwheel.testing.program_files import read_source
from gpuwheel.testing.ptx.native_types import REPORT_KINDS, RawReport
from gpuwheel.testing.ptx.program import make_program
from gpuwheel.testing.ptx.reading import read_module
from gpuwheel.testing.ptx.reports import Allocation, Mistake, merged, mistake_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.testing.ptx.program import Program
    from gpuwheel.testing.ptx.syntax import Module

__all__ = ["Facts", "facts_in", "launches_in", "mistakes_of", "read_facts", "write_facts"]

Facts: TypeAlias = "Mapping[str, Any]"
"""One line of native/mistakes.c."""

_NUMBERS = ("address", "bytes", "start", "end", "other", "other_block", "count", "write")
_SENTENCES = {
    "freed-memory": "freed memory: {function} {does} {bytes} bytes at {address:#x}, {of}",
    "copy-out-of-bounds": "out of bounds: {function} {does} {bytes} bytes at {address:#x}, byte {offset} of {of}",
    "host-memory": "no memory of CUDA: {function} {does} {bytes} bytes at {address:#x}, which is the host's own",
    "double-free": "freed twice: {function} of {address:#x}, {of}",
    "invalid-free": "no memory of CUDA: {function} of {address:#x}, where none begins",
    "stream-race": "order of streams: {function} {does} {of}, which {other} {did} without an event or a "
    "synchronisation between them",
    "leak": "leaked: {of}, which nothing freed",
    "changed-in-flight": "changed in flight: the host wrote into {of} before {function}, which reads it, was waited "
    "for",
}


def facts_in(text: str) -> list[Facts]:
    """The facts of lines of JSON; a line that was cut off is left out."""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def read_facts(folder: Path, but: Iterable[str] = ()) -> list[Facts]:
    """What the processes of a folder (`GPUWHEEL_FAKE_GPU_REPORTS`) wrote down, but those whose numbers are given."""
    left_out = {*but}
    files = sorted(path for path in folder.glob("*.jsonl") if path.stem not in left_out)
    return [fact for path in files for fact in facts_in(path.read_text(encoding="utf-8", errors="replace"))]


def launches_in(folder: Path) -> int:
    """How many launches the processes of such a folder executed, as they wrote when they ended."""
    return sum(int(count) for path in folder.glob("*.executed") for count in path.read_text().split())


def write_facts(folder: Path, facts: Iterable[Facts], executed: int) -> None:
    """Write down what this process found out of others, where it does not do so by itself."""
    lines = "".join(f"{json.dumps(fact)}\n" for fact in facts)
    (folder / f"{os.getpid()}.jsonl").write_text(lines, encoding="utf-8")
    (folder / f"{os.getpid()}.executed").write_text(f"{executed}\n", encoding="utf-8")


def mistakes_of(facts: Iterable[Facts]) -> list[Mistake]:
    """One for each mistake, however often it was made."""
    return merged(_each(facts))


def _each(facts: Iterable[Facts]) -> Iterator[Mistake]:
    for fact in facts:
        yield _of_kernel(fact) if fact["kind"] in REPORT_KINDS else _of_host(fact)


def _of_kernel(fact: Facts) -> Mistake:
    raw = RawReport(kind=REPORT_KINDS.index(fact["kind"]), text=fact["text"].encode()[:159])
    raw.instruction = fact["instruction"] if fact["instruction"] >= 0 else 0xFFFFFFFF
    raw.block[:], raw.thread[:] = fact["block"], fact["thread"]
    for name in _NUMBERS:
        setattr(raw, name, fact[name])
    known = _program(fact["program"])
    if known is not None:
        return mistake_of(raw, *known, fact["launch"]["block"], lambda _: _allocation(fact))
    # The cache was cleaned since: what is left is what the driver knew.
    return Mistake(
        kind=fact["kind"],
        what=fact["kind"],
        access="",
        kernel=function_name(fact["kernel"]),
        block=tuple(fact["block"]),
        thread=tuple(fact["thread"]),
        address=raw.address,
        instruction="",
        ptx_line=0,
        places=(),
        count=raw.count,
    )


@lru_cache(maxsize=64)
def _program(file: str) -> tuple[Program, Module] | None:
    source = read_source(Path(file))
    if source is None:
        return None
    try:
        module = read_module(source[0])
        return make_program(module, source[1]), module
    except GpuwheelError:
        return None


def _allocation(fact: Facts) -> Allocation | None:
    memory = fact.get("memory")
    if memory is None:
        return None
    freed = f"after launch {memory['freed']}" if memory["freed"] >= 0 else None
    return Allocation(memory["start"], memory["start"] + memory["bytes"], _made(memory), freed)


def _made(memory: Facts) -> str:
    where = f" in {memory['label']}" if memory["label"] else ""
    what = f"variable {memory['by']}" if memory["kind"] == "variable" else f"{memory['by']}"
    return f"{what}{where} after launch {memory['made']}" if memory["kind"] != "variable" else what


def _of_host(fact: Facts) -> Mistake:
    memory = fact.get("memory")
    of = "memory that is not known"
    if memory is not None:
        freed = f", freed after launch {memory['freed']}" if memory["freed"] >= 0 else ""
        of = f"an allocation of {memory['bytes']} bytes ({_made(memory)}{freed})"
    fields = {
        "function": _name(fact.get("function", "")),
        "does": "writes" if fact.get("write") else "reads",
        "did": "wrote" if fact.get("other_wrote") else "read",
        "other": _name(fact.get("other", "")),
        "bytes": fact.get("bytes", 0),
        "address": fact["address"],
        "offset": fact["address"] - memory["start"] if memory else 0,
        "of": of,
    }
    return Mistake(
        kind=fact["kind"],
        what=f"{_SENTENCES[fact['kind']].format(**fields)} (after launch {fact['after']})",
        access="write" if fact.get("write") else "",
        kernel="",
        block=(0, 0, 0),
        thread=(0, 0, 0),
        address=fact["address"] or None,
        instruction="",
        ptx_line=0,
        places=(),
    )


def _name(name: str) -> str:
    return function_name(name) if name.startswith("_Z") else name
