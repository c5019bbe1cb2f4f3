"""Symbols that a shared library shows to a linker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["LibrarySymbol", "SymbolKind"]


class SymbolKind(Enum):
    """What a symbol names; the value is its ELF type (System V ABI, chapter 4)."""

    OBJECT = 1
    FUNCTION = 2
    THREAD_LOCAL = 6


@dataclass(frozen=True)
class LibrarySymbol:
    """One version of one exported symbol."""

    name: str
    version: str | None
    """For example "GLIBC_2.17"."""
    kind: SymbolKind
    size: int = 0
    """In bytes; of objects only."""
    default: bool = True
    """Whether a reference without a version gets this one (`name@@version`)."""
    weak: bool = False
