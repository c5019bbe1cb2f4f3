"""What the processes of a run counted (native/coverage.c), as kernels and lines.

A folder holds the PTX of each library that was loaded, and for each kernel that ran, in each process, how often each
instruction did. Files of counts: the magic, then the numbers of instructions, of launches and of bytes of the path of
the program's file, that path, and the counts.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.binary.mangled import function_name
from gpuwheel.errors import GpuwheelError
from gpuwheel.testing.program_files import read_source
from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.program import make_program
from gpuwheel.testing.ptx.syntax import Instruction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gpuwheel.testing.ptx.syntax import Module, Place

__all__ = ["Coverage", "KernelCoverage", "read_coverage"]

_HEADER = struct.Struct("<8sQQQ")
_MAGIC = b"gwcover1"


@dataclass(frozen=True)
class KernelCoverage:
    """One kernel: an instantiation, where it is one of a template."""

    symbol: str
    launches: int
    instructions: int | None = None
    """Of it and of what it calls; None: it was never launched."""
    executed: int = 0
    """How many of them ran in any thread."""

    @cached_property
    def name(self) -> str:
        """In C++, e.g. `fused::add_rms_norm<float, 4>`."""
        return function_name(self.symbol)

    @property
    def template(self) -> str:
        """The name without what it was instantiated with."""
        return self.name.partition("<")[0]


@dataclass(frozen=True)
class Coverage:
    """What a run covered."""

    kernels: tuple[KernelCoverage, ...]
    """By name; all entries of the images that were loaded."""
    files: Mapping[str, Mapping[int, int]]
    """Of each source, as the PTX names it: how many threads executed each line that device code was made of."""
    without_lines: int = 0
    """Kernels whose PTX has no line information."""

    @property
    def launched(self) -> tuple[KernelCoverage, ...]:
        """Those that ran."""
        return tuple(kernel for kernel in self.kernels if kernel.launches)

    @property
    def never(self) -> tuple[KernelCoverage, ...]:
        """Those that did not."""
        return tuple(kernel for kernel in self.kernels if not kernel.launches)


@dataclass
class _Counted:
    launches: int = 0
    counts: Sequence[int] = ()

    def add(self, launches: int, counts: Sequence[int]) -> None:
        self.launches += launches
        same = len(counts) == len(self.counts)
        self.counts = [mine + its for mine, its in zip(self.counts, counts, strict=True)] if same else counts


@dataclass
class _Found:
    """What is put together from all modules."""

    kernels: dict[str, KernelCoverage] = field(default_factory=dict)
    files: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    without_lines: int = 0

    def add_kernel(self, new: KernelCoverage) -> None:
        known = self.kernels.get(new.symbol)
        better = known is None or (new.launches, new.executed) > (known.launches, known.executed)
        self.kernels[new.symbol] = new if better or known is None else known


def read_coverage(folder: Path) -> Coverage:
    """What the files of a folder say. Those of processes that ended while they wrote are left out."""
    texts = {}
    for path in sorted(folder.glob("*.ptx")):
        text = path.read_bytes().decode(errors="replace")
        texts[_digest(text)] = text
    counted: dict[bytes, dict[str, _Counted]] = defaultdict(lambda: defaultdict(_Counted))
    for program, launches, counts in _counts(folder):
        source = read_source(program)
        if source is not None:
            key = _digest(source[0])
            texts.setdefault(key, source[0])
            counted[key][source[1]].add(launches, counts)
    found = _Found()
    for key, text in texts.items():
        _add_module(found, text, counted[key])
    kernels = tuple(sorted(found.kernels.values(), key=lambda kernel: (kernel.name, kernel.symbol)))
    return Coverage(kernels, found.files, found.without_lines)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _counts(folder: Path) -> Iterator[tuple[Path, int, Sequence[int]]]:
    """The file of the program, launches and counts of each file that is whole."""
    for path in sorted(folder.glob("counts-*")):
        content = path.read_bytes()
        if len(content) < _HEADER.size:
            continue
        magic, instructions, launches, name_size = _HEADER.unpack_from(content)
        at = _HEADER.size + name_size
        if magic != _MAGIC or len(content) != at + 8 * instructions:
            continue
        name = content[_HEADER.size : at].rstrip(b"\0")
        counts = array("Q", content[at:])
        if sys.byteorder != "little":
            counts.byteswap()
        yield Path(name.decode(errors="surrogateescape")), launches, counts


def _add_module(found: _Found, text: str, counted: Mapping[str, _Counted]) -> None:
    try:
        module = reading.read_module(text)
    except GpuwheelError:
        return
    entries = [name for name, (start, _, _) in module.spans.items() if module.text.startswith(".entry", start)]
    ran: dict[int, int] = {}
    """How often, by the line of the PTX."""
    for name in entries:
        counts = counted.get(name)
        known = _ran(module, name, counts.counts) if counts is not None and counts.launches else None
        if counts is None or known is None:
            found.add_kernel(KernelCoverage(name, counts.launches if counts is not None else 0))
            continue
        executed = sum(1 for count in known.values() if count)
        found.add_kernel(KernelCoverage(name, counts.launches, len(known), executed))
        for line, count in known.items():
            ran[line] = ran.get(line, 0) + count
    if ".loc" in module.text:
        for name in module.spans:
            _add_lines(found.files, module, name, ran)
    else:
        found.without_lines += len(entries)


def _ran(module: Module, kernel: str, counts: Sequence[int]) -> dict[int, int] | None:
    """How often each instruction ran, by its line; None: the counts are those of another program."""
    try:
        program = make_program(module, kernel)
    except GpuwheelError:
        return None
    if len(program.instructions) != len(counts):
        return None
    found: dict[int, int] = {}
    for instruction, count in zip(program.instructions, counts, strict=True):
        if instruction is not None:  # one that became several ran as often as the one that ran most
            found[instruction.line] = max(count, found.get(instruction.line, 0))
    return found


def _add_lines(files: dict[str, dict[int, int]], module: Module, function: str, ran: Mapping[int, int]) -> None:
    """A line ran as often as its instruction that ran most; instantiations of a template add to each other."""
    try:
        body = reading.function(module, function).body
    except GpuwheelError:
        return
    lines: dict[tuple[int, int], int] = {}
    for each in body:
        if isinstance(each, Instruction):
            count = ran.get(each.line, 0)
            for place in _chain(each.place):
                key = place.file, place.line
                lines[key] = max(count, lines.get(key, 0))
    for (file, line), count in lines.items():
        name = module.files.get(file)
        if name is not None and line:
            files[name][line] = files[name].get(line, 0) + count


def _chain(place: Place | None) -> Iterable[Place]:
    """Where an instruction is from, and where that was inlined."""
    while place is not None:
        yield place
        place = place.inlined_at
