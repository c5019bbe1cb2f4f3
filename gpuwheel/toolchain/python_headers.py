"""The headers of the Python that runs the build, for extensions that are Python modules."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path

from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import PythonHeaders
from gpuwheel.model.versions import MinorVersion

__all__ = ["find_python_headers", "running_python"]


def running_python() -> str:
    """The Python that modules in the full API are compiled for: "3.11", "3.14t" (free-threaded), "pypy3.11"."""
    name = "" if sys.implementation.name == "cpython" else sys.implementation.name
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
