# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=24.2"]
# ///
"""Refresh `gpuwheel/data/static_runtimes.toml`: where functions are in the CUDA runtime that nvcc links in.

`libcudart_static.a` is read out of each wheel of the CUDA runtime that has one, by range requests: its table of
symbols, and which bytes of its machine code a linker fills in. Nothing else of it is kept.
"""

from __future__ import annotations

import struct
import sys
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

from update_index import files_of, open_wheel
from update_table import Table, as_table, command_line, dump, finish, read

from gpuwheel.binary.elf import Elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zipfile import ZipFile

    from update_index import IndexFile

_PROJECTS = ("nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime")
_MEMBER = "libcudart_static.a"
_MACHINE = "x86_64"
_ARCHIVE, _HEADER = b"!<arch>\n", 60
_RELOCATION = struct.Struct("<QQq")
_BEFORE, _FIELD = 4, 8
"""A linker fills in up to 8 bytes, and may change the instruction before (x86-64 psABI, "Relaxation")."""
_HEAD, _RUN, _JUMP = 16, 48, 14
_FUNCTION = 2
"""STT_FUNC."""


def main() -> int:
    """Take every release of the index that has the archive."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("static_runtimes.toml")
    known = as_table(table.get("release", {}))
    found: dict[str, tuple[list[str], Table, Mapping[str, str]]] = {}
    for file in sorted((it for name in _PROJECTS for it in files_of(name)), key=lambda it: it.version):
        if any(platform.endswith(_MACHINE) for platform in file.platforms) and not file.version.is_prerelease:
            code = _read(file)
            # Often a patch release changes headers alone: one row says it for all of them.
            same = next((it for it in found.values() if code is not None and it[1:] == code), None)
            if same is not None:
                same[0].append(file.filename)
            elif code is not None:
                found[str(file.version)] = ([file.filename], *code)
    names = sorted(set().union(*(entries for *_, entries in found.values())))
    rows: Table = {
        version: {"wheels": wheels, **facts, "entries": _lines(entries.get(name, "-") for name in names)}
        for version, (wheels, facts, entries) in found.items()
    }
    gone = [f"{version} is no longer on the index" for version in known if version not in rows]
    return finish(
        "static_runtimes.toml",
        dump(comment, {"names": _lines(names), "release": rows}),
        check=asked.check,
        missing=gone,
    )


def _lines(words: Iterable[str]) -> str:
    return "\n".join(wrap(" ".join(words), 120, break_on_hyphens=False)) + "\n"


def _read(file: IndexFile) -> tuple[Table, Mapping[str, str]] | None:
    """What tells the machine code of a wheel; and name -> its word."""
    with open_wheel(file) as wheel:
        archive = _member(wheel)
    if archive is None:
        return None
    elf = Elf(_object(archive))
    text = bytes(elf.sections[".text"].data)
    changed = sorted(row[0] for row in _RELOCATION.iter_unpack(elf.sections[".rela.text"].data))
    places = {
        symbol.name: symbol.value
        for symbol in elf.symbols(".symtab")
        if symbol.kind == _FUNCTION
        and not symbol.local
        and symbol.name.startswith(("cuda", "__cuda"))
        and elf.at(symbol.home) == elf.sections[".text"]
    }
    heads = _heads(sorted(places.values()), changed)
    for one, following in pairwise(sorted(set(places.values()))):
        if following - one < _JUMP:
            raise SystemExit(f"{file.filename}: functions of {following - one} bytes")  # noqa: EM102, TRY003
    at = _unchanged_run(text, changed)
    facts: Table = {
        "size": len(text),
        "at": at,
        "bytes": text[at : at + _RUN].hex(),
        "heads": f"{_fnv(text, [(places[name], heads[places[name]]) for name in sorted(places)]):016x}",
    }
    return facts, {name: f"{place:x}.{heads[place]}" for name, place in places.items()}


def _member(wheel: ZipFile) -> bytes | None:
    name = next((name for name in wheel.namelist() if name.endswith(f"/{_MEMBER}")), None)
    return None if name is None else wheel.read(name)


def _object(archive: bytes) -> bytes:
    """The one object in an archive (ar(5), as System V has it)."""
    at = len(_ARCHIVE)
    while at + _HEADER <= len(archive):
        name, size = archive[at : at + 16].decode().strip(), int(archive[at + 48 : at + 58])
        if name not in {"/", "//", "/SYM64/"}:
            return archive[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size + size % 2
    raise SystemExit(f"{_MEMBER} has no object")  # noqa: EM102, TRY003


def _heads(places: Sequence[int], changed: Sequence[int]) -> dict[int, int]:
    """Place -> how many bytes from there on no linker changes, up to 16."""
    heads, remaining = {}, list(changed)
    for place in places:
        # What is before it may reach into it; what comes first behind it bounds the head.
        while remaining and remaining[0] + _FIELD <= place:
            remaining.pop(0)
        first = remaining[0] - _BEFORE - place if remaining else _HEAD
        heads[place] = max(0, min(_HEAD, first))
    return heads


def _unchanged_run(text: bytes, changed: Sequence[int]) -> int:
    """Where a run of bytes begins that no linker changes and that is there once."""
    for one, following in pairwise([-_FIELD, *changed, len(text) + _BEFORE]):
        at = one + _FIELD
        if following - _BEFORE - at >= _RUN and text.count(text[at : at + _RUN]) == 1:
            return at
    raise SystemExit("no bytes that tell the release")  # noqa: EM101, TRY003


def _fnv(text: bytes, heads: Sequence[tuple[int, int]]) -> int:
    """FNV-1a of 64 bits (draft-eastlake-fnv)."""
    value = 0xCBF29CE484222325
    for place, size in heads:
        for byte in text[place : place + size]:
            value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


if __name__ == "__main__":
    sys.exit(main())
