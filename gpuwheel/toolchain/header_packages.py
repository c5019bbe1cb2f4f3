"""Folders of installed distributions, for header libraries that come as wheels: CUTLASS, pybind11."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["find_package_folders"]


def find_package_folders(names: Iterable[str]) -> dict[str, Path]:
    """`DISTRIBUTION/FOLDER` -> where it is installed.

    Raises:
        ToolchainError: the distribution is not installed, or has no such folder.
    """
    return {name: _folder(name) for name in sorted(names)}


def _folder(name: str) -> Path:
    project, _, inside = name.partition("/")
    try:
        distribution = importlib.metadata.distribution(project)
    except importlib.metadata.PackageNotFoundError as error:
        msg = f"include-packages names {project}, which is not installed where this build runs"
        raise ToolchainError(msg, hint=f'add "{project}" to requires of [build-system]') from error
    folder = Path(str(distribution.locate_file(inside))).absolute()
    if not folder.is_dir():
        msg = f"{project} {distribution.version} has no folder {inside} (looked for {folder})"
        raise ToolchainError(msg, hint=f"python -m pip show --files {project} lists what it has")
    return folder
