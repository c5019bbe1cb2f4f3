"""`load_python_abi`: what the stable ABI of Python has, and since when, and what each Python has: `python_abi.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.errors import DataError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PythonAbi", "load_python_abi"]


@dataclass(frozen=True)
class PythonAbi:
    """Symbols of the C API for extensions of any later Python."""

    stable: Mapping[str, MinorVersion]
    """Symbol -> the Python from which on the stable ABI has it."""
    exported: Mapping[str, MinorVersion]
    """Symbol -> the older Python that exports it already, where one does."""
    read: Mapping[MinorVersion, str]
    """Of which release the symbols of a Python are."""
    exports: Mapping[str, frozenset[MinorVersion]]
    """Symbol of the C API -> the Pythons of `read` that have it, on Linux, with the global lock."""

    @property
    def newest(self) -> MinorVersion:
        """The newest Python that anything is known of, which may still be in the making."""
        return max((*self.stable.values(), *self.read))

    def first_exported(self, symbol: str) -> MinorVersion | None:
        """The first Python of Linux that has a symbol of the stable ABI; `None` for other symbols."""
        return self.exported.get(symbol, self.stable.get(symbol))


@cache
def load_python_abi() -> PythonAbi:
    """The table.

    Raises:
        DataError: the file is damaged, or breaks a law.
    """
    with read_table("python_abi.toml") as file:
        file.require_sources(file.table("sources").strings(), "exported", "stable", "exports")
        stable, exported = (
            {
                name: version
                for version, names in file.table(key).mapping(MinorVersion.parse, str).items()
                for name in names.split()
            }
            for key in ("stable", "exported")
        )
        exports = {
            name: minors
            for minors, names in file.table("exports").mapping(_minors, str).items()
            for name in names.split()
        }
        read = file.table("read").mapping(MinorVersion.parse, str)
    if strange := sorted(str(minors) for minors in set(exports.values()) if not minors <= read.keys()):
        msg = f"python_abi.toml has symbols of Pythons that `read` does not name ({', '.join(strange)})"
        raise DataError(msg)
    if strange := sorted(name for name, version in exported.items() if name not in stable or version >= stable[name]):
        msg = f"python_abi.toml has {', '.join(strange)} in `exported` (expected symbols that `stable` has since later)"
        raise DataError(msg)
    return PythonAbi(stable, exported, read, exports)


def _minors(text: str) -> frozenset[MinorVersion]:
    """Each Python of ranges: 3.8, 3.9, 3.10 and 3.13 of "3.8-3.10 3.13"."""
    found: set[MinorVersion] = set()
    for word in text.split():
        first, _, last = word.partition("-")
        start, end = MinorVersion.parse(first), MinorVersion.parse(last or first)
        found |= {MinorVersion(start.major, minor) for minor in range(start.minor, end.minor + 1)}
    return frozenset(found)
