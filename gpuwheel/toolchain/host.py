"""The user's C++ compiler, as CMake would choose it."""

from __future__ import annotations

import platform
import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import HostCompiler

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_host_compiler", "target_machine"]

_NAMES = ("c++", "g++", "clang++")
_HINT = "install one (apt install g++, or dnf install gcc-c++), or set CXX to the compiler to use"


def find_host_compiler(environ: Mapping[str, str]) -> HostCompiler:
    """The compiler in CXX (which may hold arguments), else the first of c++, g++ and clang++ on PATH.

    Raises:
        ToolchainError: there is none, or it does not run.
    """
    path = environ.get("PATH")
    chosen = environ.get("CXX", "").strip()
    if chosen:
        try:
            words = shlex.split(chosen)
        except ValueError as error:
            msg = f"CXX cannot be read ({chosen!r}: {error})"
            raise ToolchainError(msg, hint="quote it as a shell would, for example CXX='ccache g++'") from error
        found = shutil.which(words[0], path=path)
        if found is None:
            msg = f"the C++ compiler that CXX names is not found ({words[0]})"
            raise ToolchainError(msg, hint=_HINT)
        return _probe([found, *words[1:]], environ, "CXX")
    for name in _NAMES:
        found = shutil.which(name, path=path)
        if found is not None:
            return _probe([found], environ, "PATH")
    msg = f"no C++ compiler is found (looked for {', '.join(_NAMES)} on PATH)"
    raise ToolchainError(msg, hint=_HINT)


def target_machine(environ: Mapping[str, str]) -> str:
    """The CPU architecture that is compiled for: this machine's, or that of a cross compiler in CXX.

    A CXX that does not run is not told here: a plan needs no compiler, and a build will say so.
    """
    if environ.get("CXX", "").strip():
        with suppress(ToolchainError):
            return find_host_compiler(environ).machine
    return platform.machine()


def _probe(command: list[str], environ: Mapping[str, str], found_via: str) -> HostCompiler:
    # Messages of a compiler are translated; its first line is kept in English for logs and issues.
    env = {**environ, "LC_ALL": "C"}
    try:
        version = run([*command, "--version"], env=env).stdout
        target = run([*command, "-dumpmachine"], env=env).stdout.strip()
    except (ProcessFailedError, OSError) as error:
        detail = error.detail if isinstance(error, ProcessFailedError) else str(error)
        msg = f"the C++ compiler does not run ({shlex.join(command)} --version failed)"
        raise ToolchainError(msg, hint=_HINT, detail=detail) from error
    lines = version.splitlines()
    if not lines or not target:
        msg = f"{shlex.join(command)} is not a C++ compiler (it prints no version or no target)"
        raise ToolchainError(msg, hint=_HINT)
    path, arguments = Path(command[0]).absolute(), tuple(command[1:])
    return HostCompiler(path=path, identity=lines[0], target=target, found_via=found_via, arguments=arguments)
