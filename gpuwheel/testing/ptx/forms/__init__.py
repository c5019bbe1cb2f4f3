"""The table of meanings: each form of a PTX instruction, in C, with its section of the manual."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.form_rows import Row

__all__ = ["rows_of", "table"]


@cache
def table() -> tuple[Row, ...]:
    """Every row, module after module."""
    modules = sorted(found.name for found in iter_modules(__path__))
    return tuple(found for name in modules for found in import_module(f"{__name__}.{name}").ROWS)


@cache
def _by_opcode() -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for each in table():
        found.setdefault(each.opcode, []).append(each)
    return found


def rows_of(opcode: str) -> list[Row]:
    """The rows of an opcode; of two that match an instruction, the first counts."""
    return _by_opcode().get(opcode, [])
