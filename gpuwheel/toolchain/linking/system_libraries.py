"""What a shared library of the compiler exports, and how much of it an older system has."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from gpuwheel.errors import ToolchainError
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["as_older", "exported_symbols"]

_KINDS = {1: SymbolKind.OBJECT, 6: SymbolKind.THREAD_LOCAL}  # all others are called: functions, IFUNCs, untyped
_ABSOLUTE = 0xFFF1  # SHN_ABS: the names of the versions themselves
_WEAK = 2
_HIDDEN = 0x8000


def exported_symbols(data: bytes, name: str) -> tuple[LibrarySymbol, ...]:
    """Every version of every symbol that a shared library exports; `name` is for messages.

    Raises:
        ToolchainError: `data` is no shared library for a 64-bit little-endian machine.
    """
    try:
        return tuple(_symbols(ELFFile(io.BytesIO(data))))
    except (ELFError, AttributeError, IndexError, KeyError, ValueError, struct.error) as error:
        msg = f"{name} is not a readable shared library ({str(error) or type(error).__name__})"
        raise ToolchainError(msg, hint="install the C++ compiler again") from error


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


def _symbols(elf: Any) -> Iterator[LibrarySymbol]:  # noqa: ANN401 (pyelftools gives each section its own class)
    table = elf.get_section_by_name(".dynsym")
    strings = elf.get_section_by_name(".dynstr").data()
    indices = [index for (index,) in struct.iter_unpack("<H", elf.get_section_by_name(".gnu.version").data())]
    versions = {
        definition["vd_ndx"]: next(auxiliaries).name
        for definition, auxiliaries in elf.get_section_by_name(".gnu.version_d").iter_versions()
    }
    for (at, info, _, section, _, size), index in zip(
        struct.iter_unpack("<IBBHQQ", table.data()), indices, strict=True
    ):
        if section in {0, _ABSOLUTE}:
            continue
        version = versions.get(index & ~_HIDDEN)
        yield LibrarySymbol(
            name=strings[at : strings.index(0, at)].decode("ascii"),
            version=version,
            kind=(kind := _KINDS.get(info & 0xF, SymbolKind.FUNCTION)),
            size=0 if kind is SymbolKind.FUNCTION else size,
            default=not index & _HIDDEN,
            weak=info >> 4 == _WEAK,
        )
