"""Programs and distributions that a build uses or may meet, with their versions."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FoundTool", "installed_version", "probe_tool"]

_NUMBER = re.compile(r"\d+(?:\.\d+)+")
_PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class FoundTool:
    """A program."""

    path: Path
    version: str | None
    """`None`: it does not say one, or does not run."""


def probe_tool(name: str, environ: Mapping[str, str]) -> FoundTool | None:
    """The program of that name beside this interpreter, else on PATH, as a build in this environment takes it."""
    # First the one of this environment, as a build does that has cmake and ninja installed.
    beside = Path(sys.executable).with_name(name)
    version = installed_version(name)
    if version is not None and beside.is_file():
        return FoundTool(beside, version)
    found = shutil.which(name, path=environ.get("PATH", ""))
    if found is None:
        return None
    try:
        output = run([found, "--version"], env=environ, timeout=_PATIENCE).output
    except (ProcessFailedError, TimeoutError, OSError):
        return FoundTool(Path(found), None)
    match = _NUMBER.search(output)
    return FoundTool(Path(found), match[0] if match else None)


def installed_version(distribution: str) -> str | None:
    """The version of a distribution in this environment; nothing of it is imported."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
