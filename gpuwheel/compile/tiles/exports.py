"""What the Python modules of a cuTile kernel group export: kernels with their signatures, as Tile IR bytecode."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._environment import device_environment
from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.compile.launchers.launcher_types import number_type
from gpuwheel.errors import CompileError, ToolchainError
from gpuwheel.model.kernels import TileArray, TileConstant, TileFunction, TileScalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel.model.archs import Arch
    from gpuwheel.model.kernels import KernelGroup, TileParameter
    from gpuwheel.model.toolchain import TileCompiler

__all__ = ["TileExport", "read_exports", "shown", "tile_target"]

_PROJECT = "/proc/self/cwd"  # what is inside the project is named through it: the same everywhere, so are the images
_HINTS = {
    "import": "a cuTile source sees the standard library, cuda.tile, and modules in its folder and in include-dirs",
    "exports": "exports = {kernel: [KernelSignature([...], CallingConvention.cutile_python_v2(), symbol=NAME)]}",
}

_PARAMETERS: Mapping[str, Callable[..., TileParameter]] = {
    "array": TileArray,
    "scalar": TileScalar,
    "constant": TileConstant,
}


@dataclass(frozen=True, eq=False)
class TileExport:
    """One kernel with one signature."""

    source: str
    """Relative to the project."""
    symbol: str
    function: TileFunction
    levels: Mapping[str, int]
    """Target -> optimization level, which the kernel's decorator names."""
    bytecode: Mapping[str, bytes]
    """Target -> Tile IR."""

    @property
    def place(self) -> str:
        """Where its kernel is defined, for people."""
        return f"{self.source}:{self.function.line}"


def tile_target(arch: Arch) -> str:
    """What cuTile calls an architecture: arch-specific code has no name of its own there."""
    return f"sm_{arch.major}{arch.minor}"


def shown(text: str) -> str:
    """`text` with the names of files as the user knows them."""
    return text.replace(f"{_PROJECT}/", "")


def read_exports(group: KernelGroup, compiler: TileCompiler, scratch: Path) -> tuple[TileExport, ...]:
    """Import each source in a process of its own, and have cuda.tile make the Tile IR of what it exports.

    Raises:
        CompileError: a module cannot be imported, exports nothing, or has a kernel that does not compile.
        ToolchainError: cuda.tile does not work.
    """
    exports: dict[str, TileExport] = {}
    for source in group.sources:
        for export in _read(source, group, compiler, scratch):
            other = exports.setdefault(export.symbol, export)
            if other is not export:
                msg = f"{export.place} exports a kernel as {export.symbol!r}, as {other.place} does (expected another)"
                raise CompileError(msg, hint="give each KernelSignature a symbol of its own")
    return tuple(exports.values())


def _read(source: Path, group: KernelGroup, compiler: TileCompiler, scratch: Path) -> list[TileExport]:
    answer = scratch / "exports.json"
    name = source.relative_to(group.root).as_posix()
    request = {
        "answer": str(answer),
        "root": str(group.root),
        "source": f"{_PROJECT}/{name}",
        "search": [_named(folder, group.root) for folder in (source.parent, *group.include_dirs)],
        "python_path": str(compiler.python_path),
        "targets": [tile_target(arch) for arch in group.cubin_archs],
        "bytecode": str(compiler.cuda),
    }
    # -I -S: neither PYTHON* variables nor site-packages of the running interpreter are seen.
    argv = [sys.executable, "-I", "-S", "-X", "utf8", str(resource("compile", "tiles", "cutile_worker.py"))]
    try:
        run(argv, stdin=json.dumps(request), env=device_environment(compiler.environ))
    except ProcessFailedError as error:
        output = error.completed.stderr.strip()
        reason = output.splitlines()[-1] if output else f"exit status {error.completed.returncode}"
        msg = f"cuTile of CUDA {compiler.cuda} does not work on {name} ({reason})"
        hint = f"found via {compiler.found_via}; gpuwheel cache prune removes it, and the next build fetches it again"
        raise ToolchainError(msg, hint=hint, detail=output) from error
    document = json.loads(answer.read_text(encoding="utf-8"))
    if "refused" in document:
        raise _failure(name, document["refused"])
    return [_export(name, facts) for facts in document["exports"]]


def _named(folder: Path, root: Path) -> str:
    return f"{_PROJECT}/{folder.relative_to(root).as_posix()}" if folder.is_relative_to(root) else str(folder)


def _failure(source: str, refused: Mapping[str, Any]) -> CompileError:
    where = shown(refused["file"]) or source
    place = f"{where}:{refused['line']}" if refused["line"] else where
    return CompileError(
        f"{place} {shown(refused['reason'])}",
        hint=_HINTS.get(refused["kind"]),
        detail=shown(refused["text"]) or None,
    )


def _export(source: str, facts: Mapping[str, Any]) -> TileExport:
    symbol = facts["symbol"]
    # Names with "_" in front are those of the generated module itself.
    if not symbol.isidentifier() or symbol.startswith("_"):
        msg = f"{source}:{facts['line']} exports a kernel under a name that Python cannot use (found {symbol!r})"
        raise CompileError(msg, hint="the symbol of a KernelSignature becomes the name of its launcher")
    parameters = tuple(map(_parameter, facts["parameters"]))
    for parameter in parameters:
        if isinstance(parameter, TileScalar) and number_type(parameter.dtype) is None:
            msg = f"{source}:{facts['line']} takes a number of dtype {parameter.dtype}, which a launcher cannot pass"
            raise CompileError(msg, hint=f"declare {parameter.name} as float32 and convert it in the kernel")
    function = TileFunction(
        name=facts["name"],
        line=facts["line"],
        documentation=facts["documentation"],
        parameters=parameters,
    )
    bytecode = {target: bytes.fromhex(code) for target, code in facts["bytecode"].items()}
    return TileExport(source, symbol, function, facts["levels"], bytecode)


def _parameter(facts: Mapping[str, Any]) -> TileParameter:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items() if key != "kind"}
    return _PARAMETERS[facts["kind"]](**values)
