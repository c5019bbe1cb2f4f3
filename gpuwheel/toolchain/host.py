"""The user's C++ compiler, as CMake would choose it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._environment import launchers, tool_variables
from gpuwheel._environment.words import compiler_words
from gpuwheel._run import ProcessFailedError
from gpuwheel.errors import GpuwheelError, ToolchainError
from gpuwheel.model.toolchain import HostCompiler
from gpuwheel.toolchain.compiler_answers import ask, ask_about_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["find_host_compiler", "target_machine"]

# The order in which CMake looks (CMakeDetermineCXXCompiler), of the names of GCC and Clang.
_NAMES = ("c++", "g++", "clang++")
_HINT = "install one (apt install g++, or dnf install gcc-c++), or set {variable} to the compiler to use"
_LAUNCHER_VARIABLES = ("CMAKE_CXX_COMPILER_LAUNCHER", "CMAKE_CUDA_COMPILER_LAUNCHER", "CMAKE_C_COMPILER_LAUNCHER")


def find_host_compiler(environ: Mapping[str, str], variable: str = "CXX") -> HostCompiler:
    """The compiler in CXX, else the first of c++, g++ and clang++ on PATH.

    CXX may hold arguments, and ahead of the compiler programs that start it, such as ccache.

    Args:
        environ: the environment.
        variable: what names the compiler in place of CXX.

    Raises:
        ToolchainError: there is none, or it does not run, or a program that is to start it is absent.
        ConfigError: it is given an argument with which no wheel can be made.
    """
    path = environ.get("PATH", os.defpath)
    # CMake reads these itself; one that is absent would end in Ninja, with a message about a shell.
    for name in _LAUNCHER_VARIABLES:
        _found_launchers([word for word in environ.get(name, "").split(";")[:1] if word], path, name)
    chosen = environ.get(variable, "").strip()
    if chosen:
        words = _words(chosen, variable)
        count = next((n for n, word in enumerate(words) if Path(word).name not in launchers()), len(words))
        launcher = _found_launchers(words[:count], path, variable)
        if count == len(words):
            msg = f"{variable} names no C++ compiler (found {chosen!r}, expected one after {words[-1]})"
            raise ToolchainError(msg, hint=f"set {variable}='{chosen} g++'")
        program, *arguments = words[count:]
        found = shutil.which(program, path=path)
        if found is None:
            msg = f"the C++ compiler that {variable} names is not found ({program})"
            raise ToolchainError(msg, hint=_HINT.format(variable=variable))
        compiler_words(variable, arguments)  # refuses some
        return _probe(HostCompiler(Path(found).absolute(), "", "", variable, tuple(arguments), launcher), environ)
    for name in _NAMES:
        found = shutil.which(name, path=path)
        if found is not None:
            # absolute() and not resolve(): a compiler may go by the name it is called by (clang++ is a link to
            # clang).
            return _probe(HostCompiler(Path(found).absolute(), "", "", "PATH"), environ)
    msg = f"no C++ compiler is found (looked for {', '.join(_NAMES)} on PATH)"
    raise ToolchainError(msg, hint=_HINT.format(variable=variable))


def target_machine(environ: Mapping[str, str]) -> str:
    """The CPU architecture that is compiled for: this machine's, or that of a cross compiler in CXX.

    A CXX that does not run is not told here: a plan needs no compiler, and a build will say so.
    """
    if environ.get("CXX", "").strip():
        with suppress(GpuwheelError):
            return find_host_compiler(environ).machine
    return platform.machine()


def _words(chosen: str, variable: str) -> list[str]:
    # A path with blanks in it is no command with arguments: CMake takes it so, too.
    if Path(chosen).is_file():
        return [chosen]
    try:
        return shlex.split(chosen)
    except ValueError as error:
        msg = f"{variable} cannot be read ({chosen!r}: {error})"
        raise ToolchainError(msg, hint=f"quote it as a shell would, for example {variable}='ccache g++'") from error


def _found_launchers(names: Sequence[str], path: str, variable: str) -> tuple[str, ...]:
    """Where programs are that start a compiler."""
    places = []
    for name in names:
        found = shutil.which(name, path=path)
        if found is None:
            msg = f"the program that {variable} starts compilers by is not found ({name})"
            raise ToolchainError(msg, hint=f"install {Path(name).name}, or take it out of {variable}")
        places.append(str(Path(found).absolute()))
    return tuple(places)


def _probe(host: HostCompiler, environ: Mapping[str, str]) -> HostCompiler:
    """The compiler with what it says of itself, which is without its launcher."""
    env = tool_variables(environ)
    command = host.command
    try:
        # Without its launcher: ccache hands such questions on, others may not.
        version = ask(command, ["--version"], env)
        target = ask(command, ["-dumpmachine"], env).strip()
    except (ProcessFailedError, OSError) as error:
        detail = error.detail if isinstance(error, ProcessFailedError) else str(error)
        msg = f"the C++ compiler does not run ({shlex.join(command)} --version failed)"
        raise ToolchainError(msg, hint=_HINT.format(variable=_variable(host)), detail=detail) from error
    lines = version.splitlines()
    if not lines or not target:
        msg = f"{shlex.join(command)} is not a C++ compiler (it prints no version or no target)"
        raise ToolchainError(msg, hint=_HINT.format(variable=_variable(host)))
    if "clang" in lines[0].lower():  # GCC has no other C++ library
        _check_library(command, env, host)
    return replace(host, identity=lines[0], target=target)


def _check_library(command: Sequence[str], env: Mapping[str, str], host: HostCompiler) -> None:
    """Refuse a compiler for libc++ before anything compiles: torch and Python modules are linked to libstdc++."""
    options = ["-dM", "-E", "-x", "c++", "-include", "cstddef", os.devnull]
    try:
        said = ask_about_headers(command, options, env)
    except ProcessFailedError:  # a compile will say what it lacks
        return
    if "#define _LIBCPP_VERSION" in said:
        msg = f"{shlex.join(command)} compiles for libc++ (expected libstdc++, which torch and Python modules use)"
        raise ToolchainError(msg, hint=f"set {_variable(host)} to g++, or to a clang++ with -stdlib=libstdc++")


def _variable(host: HostCompiler) -> str:
    return "CXX" if host.found_via == "PATH" else host.found_via
