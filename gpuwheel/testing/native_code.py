"""Compile the C sources of the fakes and stubs with the machine's C compiler."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import CompileError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["compile_c", "find_c_compiler"]


def find_c_compiler(environ: Mapping[str, str]) -> str:
    """The C compiler: `CC`, else cc, gcc or clang from PATH.

    Raises:
        ToolchainError: there is none.
    """
    chosen = environ.get("CC")
    for name in (chosen,) if chosen else ("cc", "gcc", "clang"):
        found = shutil.which(name, path=environ.get("PATH"))
        if found is not None:
            return found
    msg = f"no C compiler for the pretend GPU (looked for {chosen or 'cc, gcc and clang'} on PATH)"
    raise ToolchainError(msg, hint="install gcc or clang, or set CC")


def compile_c(compiler: str, inputs: Sequence[Path], output: Path, options: Sequence[str] = ()) -> Path:
    """Compile `inputs` (C sources, objects, libraries) into `output`: an object if it ends in .o, else a library.

    Raises:
        CompileError: with what the compiler said.
    """
    kind = ["-c"] if output.suffix == ".o" else ["-shared"]
    try:
        run([compiler, "-std=gnu11", "-O2", "-fPIC", *kind, "-o", output, *inputs, *options])
    except ProcessFailedError as error:
        msg = f"{compiler} does not compile {output.name} of the pretend GPU"
        raise CompileError(msg, detail=error.completed.output) from error
    return output
