"""Programs and distributions that a build uses or may meet, with their versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FoundTool", "find_uv", "has_pip", "installed_version", "own_distribution", "probe_tool"]

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


def own_distribution() -> importlib.metadata.Distribution:
    """What an installer noted of this gpuwheel.

    Raises:
        ToolchainError: it runs from a folder that nobody installed.
    """
    try:
        return importlib.metadata.distribution("gpuwheel")
    except importlib.metadata.PackageNotFoundError:
        msg = "gpuwheel is not installed in this environment, so what it requires is not known"
        raise ToolchainError(msg, hint="pip install gpuwheel") from None


def find_uv(environ: Mapping[str, str]) -> Path | None:
    """The uv beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv", path=environ.get("PATH", ""))
    return None if found is None else Path(found)


def has_pip(oldest: Version) -> bool:
    """Whether this interpreter can start a pip that is not older."""
    found = installed_version("pip")
    return importlib.util.find_spec("pip") is not None and found is not None and Version(found) >= oldest
