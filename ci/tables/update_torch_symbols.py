# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/torch_symbols.bin` from the package index: the names that each torch exports.

Of each minor the newest Linux x86_64 wheel with CUDA, whose libraries are read whole (half a gigabyte and more): those
minors whose wheel the table names already are left as they are. What CPU builds export is the same but for the CUDA
libraries: of torch 2.13, one name of 40,000 differs.
"""

from __future__ import annotations

import io
import json
import mmap
import re
import sys
import tempfile
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING
from zipfile import ZipFile

from packaging.version import Version
from update_index import IndexFile, files_of, remote_file
from update_table import DATA, command_line

from gpuwheel._files import atomic_file
from gpuwheel.binary.elf import Elf
from gpuwheel.binary.torch_names import is_torch_c, is_torch_cpp
from gpuwheel.compatibility.exports.torch_symbols import TABLE, TorchSymbols, digest, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PYTHON, _MACHINE, _OLDEST = "3.12", "x86_64", (2, 2)
_LIBRARY = re.compile(r"torch/lib/lib(?:torch|c10)\w*\.so")
_BLOCK = 32 << 20
_NOBODYS = re.compile(r"_GLOBAL__N|_ZN\d+__nv_hdl_|_INTERNAL_")
"""In names that nobody imports: those of anonymous namespaces and of nvcc's wrappers."""


def main() -> int:
    """Read the wheels that the table does not have."""
    asked = command_line(__doc__).parse_args()
    path = DATA / TABLE
    before = path.read_bytes() if path.exists() else b""
    wheels, torchs, further = rows_of(unpacked(before)) if before else ({}, {}, set())
    for minor, file in _newest().items():
        if wheels.get(minor) == file.filename:
            continue
        print(f"torch {minor}: {file.filename}")
        if asked.check:
            return 1
        for row in torchs.values():
            row.discard(minor)
        wheels[minor] = file.filename
        for name in exports(file):
            if is_torch_c(name) or is_torch_cpp(name):
                torchs[digest(name)].add(minor)
            elif not _NOBODYS.search(name):
                further.add(digest(name) >> 8)
    text = packed(wheels, {row: minors for row, minors in torchs.items() if minors}, further)
    if text != before:
        with atomic_file(path) as target:
            target.write(text)
    print(f"{TABLE}: {'up to date' if text == before else 'written'} ({len(text):,} bytes, {len(torchs):,} names)")
    return 0


def _newest() -> dict[str, IndexFile]:
    """Minor -> the wheel of its newest release."""
    found: dict[str, IndexFile] = {}
    for file in sorted(files_of("torch"), key=lambda file: (file.version, file.build)):
        version, machine = file.version, any(tag.endswith(_MACHINE) for tag in file.platforms)
        if machine and _PYTHON in file.pythons and not version.is_prerelease and version.release[:2] >= _OLDEST:
            found[f"{version.major}.{version.minor}"] = file
    return found


def exports(file: IndexFile) -> Iterator[str]:
    """Every name that a library of the wheel shows to others."""
    with ZipFile(io.BufferedReader(remote_file(file), _BLOCK)) as wheel:
        for member in wheel.infolist():
            if not _LIBRARY.fullmatch(member.filename) or not member.file_size:
                continue
            with tempfile.TemporaryFile() as copy, wheel.open(member) as source:
                while block := source.read(_BLOCK):
                    copy.write(block)
                copy.flush()
                with mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield from _shown(data)


def _shown(data: mmap.mmap) -> list[str]:
    with memoryview(data) as view:
        symbols = Elf(view, errors="replace").symbols(".dynsym")
        return [symbol.name for symbol in symbols if not (symbol.local or symbol.undefined or symbol.absolute)]


def rows_of(table: TorchSymbols) -> tuple[dict[str, str], defaultdict[int, set[str]], set[int]]:
    """What `packed` takes, of a table as it is."""
    torchs: defaultdict[int, set[str]] = defaultdict(set)
    at = 0
    for prefix, count in enumerate(table.counts):
        for row in range(at, at + count):
            torchs[prefix << 16 | table.rests[row]] = {str(minor) for minor in table.sets[table.of[row]]}
        at += count
    further: set[int] = set()
    at = 0
    for prefix, count in enumerate(table.further_counts):
        further.update(prefix << 8 | rest for rest in table.further_rests[at : at + count])
        at += count
    return {str(minor): wheel for minor, wheel in table.wheels.items()}, torchs, further


def packed(wheels: dict[str, str], torchs: dict[int, set[str]], further: Iterable[int]) -> bytes:
    """The file, the same for the same rows; `torchs` are digests, `further` their first three bytes."""
    ordered = {minor: wheels[minor] for minor in sorted(wheels, key=Version)}
    sets = sorted({tuple(sorted(minors, key=Version)) for minors in torchs.values()})
    place = {minors: number for number, minors in enumerate(sets)}
    rows, others = sorted(torchs), sorted(further)
    head = {"wheels": ordered, "sets": sets, "rows": len(rows), "further": len(others)}
    text = json.dumps(head, separators=(",", ":")).encode()
    parts = [
        len(text).to_bytes(4, "little"),
        text,
        _counts(row >> 16 for row in rows),
        b"".join((row & 0xFFFF).to_bytes(2, "little") for row in rows),
        b"".join(place[tuple(sorted(torchs[row], key=Version))].to_bytes(2, "little") for row in rows),
        _counts(row >> 8 for row in others),
        bytes(row & 0xFF for row in others),
    ]
    return zlib.compress(b"".join(parts), 9)


def _counts(prefixes: Iterable[int]) -> bytes:
    counts = bytearray(1 << 16)
    for prefix in prefixes:
        counts[prefix] += 1  # a ValueError where they are more than 255: the layout has to change then
    return bytes(counts)


if __name__ == "__main__":
    sys.exit(main())
