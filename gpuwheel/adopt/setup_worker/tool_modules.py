"""Stand-ins for packages that a build asks for headers, versions or programs."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from .setuptools_modules import Command, Extension
from .stand_ins import Unknown, answering, defining, find_defining

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .notes import Notes

__all__ = ["install_tools"]


def install_tools(request: Mapping[str, Any], notes: Notes) -> None:
    """numpy, pybind11, ninja, cmake, Cython, setuptools_scm, and whatever the request names as absent."""
    site = request["site"]
    for name, folder in request["packages"].items():
        _including(name, os.path.join(site, folder), site, request["versions"].get(name, "0"))
    find_defining([*request["absent"], "numpy"], site)
    answering("ninja", site, BIN_DIR=_folder_of("ninja"), __version__=request["versions"]["ninja"])
    answering("cmake", site, CMAKE_BIN_DIR=_folder_of("cmake"), __version__=request["versions"]["cmake"])
    answering("Cython", site, __version__="3.1.0")
    answering("Cython.Build", site, cythonize=_cythonize, build_ext=type("build_ext", (Command,), {}))
    answering("Cython.Distutils", site, build_ext=type("build_ext", (Command,), {}), Extension=Extension)

    def scm(*_: object, **__: object) -> str:
        notes.add("version", "setuptools_scm")
        return ""

    answering("setuptools_scm", site, get_version=scm, __version__="9.0.0")
    sys.path.insert(1, site)  # for importlib.metadata


def _including(name: str, folder: str, site: str, version: str) -> None:
    def get_include(*_: object, **__: object) -> str:
        return folder

    def get_cmake_dir() -> str:
        return os.path.join(folder, "cmake")

    defining(name, site, get_include=get_include, get_cmake_dir=get_cmake_dir, __version__=version)
    if name == "pybind11":
        answering(
            *("pybind11.setup_helpers", site),
            Pybind11Extension=_pybind_extension(folder),
            build_ext=type("build_ext", (Command,), {"__module__": Command.__module__}),
            intree_extensions=lambda *_: [],
            ParallelCompile=Unknown("ParallelCompile"),
            naive_recompile=None,
        )
        answering("pybind11.commands", site, get_include=get_include, get_cmake_dir=get_cmake_dir)


def _pybind_extension(folder: str) -> type[Extension]:
    """The class of pybind11's that adds its headers and its dialect by itself."""

    class Pybind11Extension(Extension):
        """With the headers of pybind11."""

        def __init__(self, *arguments: Any, cxx_std: int = 0, **keywords: Any) -> None:  # noqa: ANN401
            super().__init__(*arguments, **keywords)
            self.include_dirs = [*self.include_dirs, folder]
            self.extra_compile_args = [*self.extra_compile_args, *([f"-std=c++{cxx_std}"] if cxx_std else [])]

    return Pybind11Extension


def _folder_of(program: str) -> str:
    return os.path.dirname(shutil.which(program) or f"/usr/bin/{program}")


def _cythonize(modules: Any, *_: object, **__: object) -> list[Extension]:  # noqa: ANN401
    """Extensions as they are: nothing is translated."""
    listed: Iterable[Any] = [modules] if isinstance(modules, (str, Extension)) else modules
    found: list[Extension] = []
    for module in listed:
        if isinstance(module, Extension):
            found.append(module)
        else:
            found += [
                Extension(os.path.splitext(path)[0].replace(os.sep, "."), [path]) for path in sorted(glob.glob(module))
            ]
    return found
