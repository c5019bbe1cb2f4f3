"""Headers that the Python which runs the build brings: its own, and those of packages such as CUTLASS and pybind11."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import PythonHeaders
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["find_package_folders", "find_python_headers", "running_python"]


def running_python() -> str:
    """The Python that modules in the full API are compiled for: "3.11", "3.14t" (free-threaded), "pypy3.11"."""
    name = "" if sys.implementation.name == "cpython" else sys.implementation.name
    # Its ABI is another one (PEP 703): objects are laid out differently.
    free_threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{name}{sys.version_info.major}.{sys.version_info.minor}{free_threaded}"


def find_python_headers(machine: str, *, limited: bool) -> PythonHeaders:
    """Where `Python.h` is, and what a module for this version is called.

    Args:
        machine: the CPU architecture that modules are compiled for.
        limited: whether they keep to the limited API, whose headers and file names are those of every machine.

    Raises:
        ToolchainError: this Python came without its headers, or is not the one that modules are for.
    """
    here = platform.machine()
    if machine != here and not limited:
        msg = f"a module for one Python is compiled by that Python (found one for {here}, expected {machine})"
        raise ToolchainError(msg, hint=f'set python = "abi3" for the extension, or build on a machine of {machine}')
    include = Path(sysconfig.get_path("include"))
    version = MinorVersion(sys.version_info.major, sys.version_info.minor)
    if not (include / "Python.h").is_file():
        msg = f"the headers of Python {version} are not installed ({include / 'Python.h'} is missing)"
        raise ToolchainError(msg, hint=f"apt install python{version}-dev, or dnf install python{version}-devel")
    return PythonHeaders(include, version, str(sysconfig.get_config_var("EXT_SUFFIX")))


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
    # By metadata and not by import: under build isolation, imports may lead elsewhere, and headers need none.
    folder = Path(str(distribution.locate_file(inside))).absolute()
    if not folder.is_dir():
        msg = f"{project} {distribution.version} has no folder {inside} (looked for {folder})"
        raise ToolchainError(msg, hint=f"python -m pip show --files {project} lists what it has")
    return folder
