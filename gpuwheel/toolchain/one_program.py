"""A compiler that is a command, as a program: nvcc takes a host compiler by its path alone, and so do most tools."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._environment import launchers
from gpuwheel._environment.words import compiler_words
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from gpuwheel._cache import Cache
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["as_one_program"]

_EXECUTABLE = 0o755


def as_one_program(host: HostCompiler, cache: Cache) -> HostCompiler:
    """A compiler that is a command, with a script in the cache that starts it, under a name that its content decides.

    The compiler for C beside it gets one, too. The script names the state of the program, so that ccache and the like
    see another compiler where that changed.

    Raises:
        ToolchainError: a launcher would start another program of that name, on another machine.
        CacheError: the cache cannot be written.
    """
    if not host.arguments:
        return host
    elsewhere = [Path(program).name for program in host.launcher if not launchers()[Path(program).name]]
    if elsewhere:
        msg = f"{elsewhere[0]} cannot pass on arguments of {host.found_via} (found {shlex.join(host.arguments)})"
        raise ToolchainError(msg, hint="write them into CXXFLAGS")
    name = "clang++" if "clang" in host.identity.lower() else "g++"  # nvcc goes by it
    texts = {name: _script(host.path, host)}
    beside = host.path.with_name(_as_c(host.path.name))
    if beside != host.path and beside.is_file():
        texts[_as_c(name)] = _script(beside, host)

    def fill(folder: Path) -> None:
        for program, text in texts.items():
            (folder / program).write_text(text, encoding="utf-8")
            (folder / program).chmod(_EXECUTABLE)

    digest = hashlib.sha256("".join(texts.values()).encode()).hexdigest()
    folder = cache.publish_tree("toolchains", f"compiler-{digest[:32]}", fill)
    return replace(host, script=folder / name)


def _script(program: Path, host: HostCompiler) -> str:
    first, last = compiler_words(host.found_via, host.arguments)
    # In the text, so that the script is another file when the compiler is: ccache looks at what it starts.
    state = program.resolve().stat()
    # Some have to come last: `compiler_words` knows which.
    words = " ".join(filter(None, (shlex.join([str(program), *first]), '"$@"', shlex.join(last))))
    return (
        f"#!/bin/sh\n# {host.identity}, {host.target}, {state.st_size} bytes, of {state.st_mtime_ns} ns\nexec {words}\n"
    )


def _as_c(name: str) -> str:
    """The compiler for C that belongs to one for C++: gcc-13 to g++-13."""
    return name.replace("clang++", "clang").replace("g++", "gcc").replace("c++", "cc")
