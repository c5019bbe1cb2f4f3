"""Compile the C sources of the fakes and stubs with the machine's C compiler."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run_each
from gpuwheel.errors import CompileError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["compile_c", "compile_objects", "find_c_compiler"]


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
    if output.suffix == ".o":
        _run_each([_words(compiler, "-c", output, inputs, options)])
        return output
    with tempfile.TemporaryDirectory(prefix="gpuwheel-objects-") as folder:
        sources = [path for path in inputs if path.suffix == ".c"]
        objects = iter(compile_objects(compiler, sources, Path(folder), options))
        linked = [next(objects) if path.suffix == ".c" else path for path in inputs]
        _run_each([_words(compiler, "-shared", output, linked, options)])
    return output


def compile_objects(compiler: str, sources: Sequence[Path], folder: Path, options: Sequence[str] = ()) -> list[Path]:
    """Compile C sources into an object each, in `folder`, as many at a time as there are cores.

    Raises:
        CompileError: with what the compiler said.
    """
    objects = [folder / f"{source.name}.o" for source in sources]
    # Large ones first: the last to end is then a small one.
    pairs = sorted(zip(sources, objects, strict=True), key=lambda pair: -pair[0].stat().st_size)
    _run_each([_words(compiler, "-c", made, [source], options) for source, made in pairs])
    return objects


def _words(compiler: str, kind: str, output: Path, inputs: Sequence[Path], options: Sequence[str]) -> list[str]:
    return [compiler, "-o", str(output), "-std=gnu11", "-O2", "-fPIC", kind, *map(str, inputs), *options]


def _run_each(commands: Sequence[list[str]]) -> None:
    for at, completed in run_each(commands, jobs=os.cpu_count() or 1, env=os.environ):
        if completed.returncode != 0:
            compiler, _, made, *_ = commands[at]
            msg = f"{compiler} does not compile {Path(made).name} of the pretend GPU"
            raise CompileError(msg, detail=completed.output)
