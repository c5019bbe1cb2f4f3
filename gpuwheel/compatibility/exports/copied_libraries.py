"""`load_copied_libraries`: by which functions one tells another project's library inside of a library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table

if TYPE_CHECKING:
    from gpuwheel.compatibility.parsing import Reader

__all__ = ["CopiedLibrary", "load_copied_libraries"]


@dataclass(frozen=True)
class CopiedLibrary:
    """A project whose library is often linked into others."""

    name: str
    file: re.Pattern[str]
    """How its own library is called."""
    enough: int
    """As many of the functions tell that it is a copy."""
    functions: frozenset[str]


@cache
def load_copied_libraries() -> tuple[CopiedLibrary, ...]:
    """Every row, in the order of the table.

    Raises:
        DataError: the table is missing or damaged.
    """
    with read_table("copied_libraries.toml") as file:
        file.text("source")
        with file.table("libraries") as libraries:
            return tuple(_row(libraries, name) for name in libraries.names())


def _row(libraries: Reader, name: str) -> CopiedLibrary:
    with libraries.table(name) as row:
        return CopiedLibrary(
            name=name,
            file=re.compile(row.text("file")),
            enough=row.integer("enough"),
            functions=frozenset(row.text("functions").split()),
        )
