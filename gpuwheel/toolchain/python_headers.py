"""The headers of the Python that runs the build, for extensions that are Python modules."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import PythonHeaders
from gpuwheel.model.versions import MinorVersion

__all__ = ["find_python_headers"]


def find_python_headers() -> PythonHeaders:
    """Where `Python.h` is, and what a module for this version is called.

    Raises:
        ToolchainError: this Python came without its headers.
    """
    include = Path(sysconfig.get_path("include"))
    version = MinorVersion(sys.version_info.major, sys.version_info.minor)
    if not (include / "Python.h").is_file():
        msg = f"the headers of Python {version} are not installed ({include / 'Python.h'} is missing)"
        raise ToolchainError(msg, hint=f"apt install python{version}-dev, or dnf install python{version}-devel")
    return PythonHeaders(include, version, str(sysconfig.get_config_var("EXT_SUFFIX")))
