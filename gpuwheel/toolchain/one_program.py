"""A compiler that is a command, as a program: nvcc takes a host compiler by its path alone, and so do most tools."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._environment import launchers
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from gpuwheel._cache import Cache
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["as_one_program"]

_EXECUTABLE = 0o755


def as_one_program(host: HostCompiler, cache: Cache) -> HostCompiler:
    """The same compiler with a script in the cache, under a name that its content decides.

    The script names the state of the program too, so that ccache and the like see another compiler where that changed.

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
    state = host.path.resolve().stat()
    text = (
        f"#!/bin/sh\n# {host.identity}, {host.target}, {state.st_size} bytes, of {state.st_mtime_ns} ns\n"
        f'exec {shlex.join(host.command)} "$@"\n'
    )
    name = "clang++" if "clang" in host.identity.lower() else "g++"  # nvcc goes by it

    def fill(folder: Path) -> None:
        program = folder / name
        program.write_text(text, encoding="utf-8")
        program.chmod(_EXECUTABLE)

    folder = cache.publish_tree("toolchains", f"compiler-{hashlib.sha256(text.encode()).hexdigest()[:32]}", fill)
    return replace(host, script=folder / name)
