"""What a shared library of the compiler exports, and how much of it an older system has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel.binary.elf import Elf
from gpuwheel.errors import ToolchainError
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["as_older", "exported_symbols"]

_KINDS = {1: SymbolKind.OBJECT, 6: SymbolKind.THREAD_LOCAL}  # all others are called: functions, IFUNCs, untyped


def exported_symbols(data: bytes, name: str) -> tuple[LibrarySymbol, ...]:
    """Every version of every symbol that a shared library exports; `name` is for messages.

    Raises:
        ToolchainError: `data` is no shared library with versions, for a 64-bit little-endian machine.
    """
    hint = "install the C++ compiler again"
    with reading(f"{name} is not a readable shared library", "one of the system", error=ToolchainError, hint=hint):
        elf = Elf(data)
        # Numbers are the file's own, and mean nothing in another.
        versions = {number: version for version, number in elf.version_definitions()}
        if not versions:
            msg = "no versions"
            raise ValueError(msg)
        return tuple(
            LibrarySymbol(
                name=symbol.name,
                version=versions.get(symbol.version),
                kind=(kind := _KINDS.get(symbol.kind, SymbolKind.FUNCTION)),
                # Of objects the linker needs it, for copy relocations; of functions it changes with every build of
                # the library.
                size=0 if kind is SymbolKind.FUNCTION else symbol.size,
                default=symbol.default,
                weak=symbol.weak,
            )
            for symbol in elf.symbols(".dynsym")
            if not symbol.undefined and not symbol.absolute
        )


def as_older(symbols: Iterable[LibrarySymbol], allows: Callable[[str], bool]) -> tuple[LibrarySymbol, ...]:
    """The symbols whose versions a system allows; a name without a version then stands for its newest one there.

    libstdc++ and its like never withdraw a version, so this is what the library of that system has.
    """
    kept: dict[str, list[LibrarySymbol]] = {}
    for symbol in symbols:
        if symbol.version is not None and allows(symbol.version):
            kept.setdefault(symbol.name, []).append(symbol)
    older = []
    for versions in kept.values():
        chosen = next((symbol for symbol in versions if symbol.default), max(versions, key=_numbers))
        older += [replace(symbol, default=symbol is chosen) for symbol in versions]
    return tuple(older)


def _numbers(symbol: LibrarySymbol) -> tuple[int, ...]:
    """The number in a version, for order: (3, 4, 21) of "GLIBCXX_3.4.21"."""
    parts = (symbol.version or "").rpartition("_")[2].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
