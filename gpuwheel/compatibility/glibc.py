"""Which symbols a system with an older glibc has."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.compatibility.platforms import version_numbers
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["glibc_libraries"]

_SONAMES = {
    "c": "libc.so.6",
    "dl": "libdl.so.2",
    "m": "libm.so.6",
    "pthread": "libpthread.so.0",
    "resolv": "libresolv.so.2",
    "rt": "librt.so.1",
    "util": "libutil.so.1",
}
_LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
_MERGED = (2, 34)
"""Since then libpthread, libdl, librt and libutil are empty, and libc has what was in them (glibc's NEWS)."""
_EMPTY = frozenset({"pthread", "dl", "rt", "util"})


def glibc_libraries(machine: str, newest: tuple[int, int]) -> dict[str, tuple[LibrarySymbol, ...]]:
    """SONAME -> symbols of each library of glibc, as they are in version `newest`.

    A name without a version stands for its newest version up to there.

    Raises:
        KeyError: `machine` is not in `data/glibc.toml`.
        DataError: the table is damaged.
    """
    symbols = {}
    for library, versions in _table()[machine].items():
        if newest >= _MERGED and library in _EMPTY:
            continue
        soname = _LOADERS[machine] if library == "ld" else _SONAMES[library]
        symbols[soname] = tuple(_up_to(newest, versions))
    return symbols


def _up_to(newest: tuple[int, int], versions: Mapping[tuple[int, ...], tuple[_Word, ...]]) -> Iterator[LibrarySymbol]:
    seen: set[str] = set()
    # Newest first: the first version of a name that is met is its default (`name@@version`).
    for version, words in sorted(versions.items(), reverse=True):
        if version[:2] > newest:
            continue
        number = ".".join(map(str, version))
        for name, kind, size in words:
            yield LibrarySymbol(name, f"GLIBC_{number}", kind, size, default=name not in seen)
        seen.update(word[0] for word in words)


_Word = tuple[str, SymbolKind, int]


@cache
def _table() -> dict[str, dict[str, dict[tuple[int, ...], tuple[_Word, ...]]]]:
    """Machine -> library -> version -> symbols."""
    with read_table("glibc.toml") as file:
        file.text("source")
        table = {}
        for machine in file.names():
            with file.table(machine) as libraries:
                table[machine] = {
                    library: libraries.table(library).mapping(version_numbers, _words) for library in libraries.names()
                }
        return table


def _words(text: str) -> tuple[_Word, ...]:
    """From "malloc stdout:8 errno:tls".

    Raises:
        ValueError: a size is not a number.
    """
    return tuple(map(_word, text.split()))


def _word(text: str) -> _Word:
    name, mark, size = text.partition(":")
    if not mark:
        return name, SymbolKind.FUNCTION, 0
    if size == "tls":
        return name, SymbolKind.THREAD_LOCAL, 0
    return name, SymbolKind.OBJECT, int(size)
