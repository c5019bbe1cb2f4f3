"""`load_python_abi`: what the stable ABI of Python has, and since when, from `python_abi.toml`."""

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
        file.require_sources(file.table("sources").strings(), "exported", "stable")
        stable, exported = (
            {
                name: version
                for version, names in file.table(key).mapping(MinorVersion.parse, str).items()
                for name in names.split()
            }
            for key in ("stable", "exported")
        )
    if strange := sorted(name for name, version in exported.items() if name not in stable or version >= stable[name]):
        msg = f"python_abi.toml has {', '.join(strange)} in `exported` (expected symbols that `stable` has since later)"
        raise DataError(msg)
    return PythonAbi(stable, exported)
