"""Where in site-packages distributions have their libraries, as rows of `library_folders.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["folder_of", "load_library_folders"]


@cache
def load_library_folders() -> Mapping[str, str]:
    """Distribution -> the one folder of site-packages with its libraries.

    Raises:
        DataError: the file is damaged, or breaks a law.
    """
    with read_table("library_folders.toml") as file:
        file.require_sources(file.table("sources").strings(), "folders")
        folders = file.table("folders").strings()
    known = load_sonames().distributions
    for name, folder in folders.items():
        path = PurePosixPath(folder)
        if name not in known or path.is_absolute() or ".." in path.parts or str(path) != folder:
            msg = f"library_folders.toml: {name} = {folder!r} (expected a distribution of providers.toml, a plain path)"
            raise DataError(msg)
    return folders


def folder_of(soname: str, distribution: str) -> str | None:
    """Where a library lies that a requirement brings; `None` where that is not known, or depends on more.

    Args:
        soname: As DT_NEEDED says it.
        distribution: What brings it: what has it itself, or torch, which requires what has it.
    """
    table, folders = load_sonames(), load_library_folders()
    if soname in table.distributions.get(distribution, ()):
        return folders.get(distribution)
    found = {folders.get(name) for name in table.bringing(soname)}
    return found.pop() if len(found) == 1 else None
