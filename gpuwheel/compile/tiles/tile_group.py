"""One kernel group of cuTile sources, compiled: modules to Tile IR, Tile IR to cubins, cubins to a fatbin per kernel.

Tile IR is made anew by every build, which takes about a second, and is what the images are stored under: it
holds everything that they depend on, wherever a module took it from.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gpuwheel._files import write_if_changed
from gpuwheel._run import run, run_each
from gpuwheel.binary.cubin import read_cubin
from gpuwheel.binary.fatbin import in_a_row
from gpuwheel.compile.reuse.store import ContentStore, Stored, content_key
from gpuwheel.compile.tiles.exports import read_exports, shown, tile_target
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import (
    BuiltImage,
    BuiltKernel,
    CompiledGroup,
    KernelCost,
    Parameter,
    TileArray,
    TileScalar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel._run import Completed
    from gpuwheel.compile.tiles.exports import TileExport
    from gpuwheel.model.archs import Arch
    from gpuwheel.model.kernels import KernelGroup, TileParameter
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.model.toolchain import TileCompiler

__all__ = ["compile_tile_group"]

_FACTS = 1  # version of the facts beside an image; part of every key
_POINTER = 8
_SIZES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip
"""Bytes of what a launch passes by value."""
_ERROR = re.compile(r"^(?:loc\(.*?\):\s*)?(?:tileiras: )?(?:error: )?(?P<reason>.*\S)", re.MULTILINE)
_LOCATION = re.compile(r'"(?P<file>[^"]+)":(?P<line>\d+):\d+')


def compile_tile_group(
    group: KernelGroup, compiler: TileCompiler, *, cache: Cache, out: Path, reporter: Reporter, jobs: int
) -> CompiledGroup:
    """Compile what is not in the cache, and write `NAME.fatbin` into `out`, if it changed.

    Args:
        group: what to compile; its architectures are arch-specific where cuTile's code is.
        compiler: with what.
        cache: where images are looked up and stored.
        out: made if needed.
        reporter: hears of progress.
        jobs: how many images are compiled at once.

    Raises:
        CompileError: a module cannot be imported, exports nothing, or has a kernel that does not compile.
        ToolchainError: cuTile does not work.
        CacheError: the cache cannot be written.
    """
    with cache.scratch() as scratch:
        exports = read_exports(group, compiler, scratch)
        build = _Build(group, compiler, ContentStore(cache, "images", cache.tier), scratch)
        images = build.images(exports, reporter, jobs)
        fatbins = [build.fatbin([images[export.symbol, arch] for arch in group.cubin_archs]) for export in exports]
    firsts = [images[export.symbol, group.cubin_archs[0]] for export in exports]
    content, offsets = in_a_row(fatbins)
    built = CompiledGroup(
        name=group.name,
        fatbin=out / f"{group.name}.fatbin",
        kernels={
            export.symbol: {
                arch.sm: KernelCost(**images[export.symbol, arch].facts["cost"]) for arch in group.cubin_archs
            }
            for export in exports
        },
        cubin_archs=group.cubin_archs,
        ptx_archs=(),
        images=tuple(
            BuiltImage(export.source, offset, len(fatbin), (_built_kernel(export, first),))
            for export, offset, fatbin, first in zip(exports, offsets, fatbins, firsts, strict=True)
        ),
    )
    write_if_changed(built.fatbin, content)
    return built


class _Build:
    """Images and fatbins of one group, in a scratch folder on the cache's disk."""

    def __init__(self, group: KernelGroup, compiler: TileCompiler, store: ContentStore, scratch: Path) -> None:
        self._group = group
        self._compiler = compiler
        self._store = store
        self._scratch = scratch

    def images(self, exports: Iterable[TileExport], reporter: Reporter, jobs: int) -> dict[tuple[str, Arch], Stored]:
        """(symbol, architecture) -> cubin: from the store, or compiled."""
        wanted = [(export, arch) for export in exports for arch in self._group.cubin_archs]
        found = self._store.find([self._key(*pair) for pair in wanted])
        images = {(pair[0].symbol, pair[1]): found[key] for pair in wanted if (key := self._key(*pair)) in found}
        missing = [pair for pair in wanted if self._key(*pair) not in found]
        if missing:
            label = f"kernel group {self._group.name}: compiling {len(missing)} image{'s' * (len(missing) != 1)}"
            commands = [self._command(export, arch) for export, arch in missing]
            with (
                reporter.progress(label, len(missing), unit="image") as progress,
                closing(run_each(commands, jobs=jobs, env=self._environ)) as ended,
            ):
                for index, done in ended:
                    export, arch = missing[index]
                    images[export.symbol, arch] = self._compiled(export, arch, done)
                    progress.advance(1)
        return images

    def fatbin(self, images: Iterable[Stored]) -> bytes:
        """One kernel for all architectures."""
        members = []
        for arch, image in zip(self._group.cubin_archs, images, strict=True):
            name = f"{arch.sm}.cubin"
            (self._scratch / name).write_bytes(image.content)
            members.append(f"--image3=kind=elf,sm={arch.sm.removeprefix('sm_')},file={name}")
        file = self._scratch / "fatbin"
        run(
            [self._compiler.fatbinary, "--64", "--create=fatbin", *self._group.compression, *members],
            cwd=self._scratch,
            env=self._environ,
        )
        return file.read_bytes()

    @property
    def _environ(self) -> dict[str, str]:
        """Nothing of the user's: temporary files go where the cache is."""
        return {"TMPDIR": str(self._scratch)}

    def _options(self, export: TileExport, arch: Arch) -> list[str]:
        target = tile_target(arch)
        line_info = ["--lineinfo"] if self._group.lineinfo else []
        return ["--gpu-name", target, f"-O{export.levels[target]}", *line_info, *self._group.flags]

    def _key(self, export: TileExport, arch: Arch) -> str:
        code = hashlib.sha256(export.bytecode[tile_target(arch)]).hexdigest()
        options = self._options(export, arch)
        return content_key({"facts": _FACTS, "compiler": self._compiler.digest, "code": code, "options": options})

    def _command(self, export: TileExport, arch: Arch) -> list[str | Path]:
        code = self._scratch / f"{export.symbol}.{arch.sm}.tileir"
        code.write_bytes(export.bytecode[tile_target(arch)])
        return [self._compiler.tileiras, code, "-o", self._cubin(export, arch), *self._options(export, arch)]

    def _cubin(self, export: TileExport, arch: Arch) -> Path:
        return self._scratch / f"{export.symbol}.{arch.sm}.cubin"

    def _compiled(self, export: TileExport, arch: Arch, done: Completed) -> Stored:
        if done.returncode != 0:
            raise _failure(export, arch, done)
        content = self._cubin(export, arch).read_bytes()
        stored = Stored(_facts(export, content), content)
        self._store.save(self._key(export, arch), stored)
        return stored


def _facts(export: TileExport, cubin: bytes) -> dict[str, Any]:
    """What is known of the one kernel of a cubin; it takes what the launcher will pass.

    Raises:
        CompileError: it does not.
    """
    (kernel,) = read_cubin(cubin, f"the image of {export.symbol} ({export.place})")
    found = [parameter.size for parameter in kernel.parameters]
    expected = list(_sizes(export.function.parameters))
    if found != expected:
        msg = f"{export.place} takes other parameters than its signature has (found {found} bytes, expected {expected})"
        raise CompileError(msg, hint="use CallingConvention.cutile_python_v2(); if that is so, report it to gpuwheel")
    parameters = [[parameter.offset, parameter.size] for parameter in kernel.parameters]
    return {"cost": asdict(kernel.cost), "parameters": parameters}


def _sizes(parameters: Iterable[TileParameter]) -> Iterator[int]:
    """Bytes of what a launch passes: for an array its address, its shape and its strides.

    Source: cuTile Python's documentation, "Compilation and Export", calling conventions.
    """
    for parameter in parameters:
        if isinstance(parameter, TileArray):
            yield _POINTER
            yield from [_SIZES[parameter.index_dtype]] * (2 * len(parameter.shape))
        elif isinstance(parameter, TileScalar):
            yield _SIZES[parameter.dtype]


def _failure(export: TileExport, arch: Arch, done: Completed) -> CompileError:
    output = shown(done.output)
    location = _LOCATION.search(output)
    place = f"{location['file']}:{location['line']}" if location else export.place
    reason = _ERROR.search(output)
    what = reason["reason"] if reason else f"exit status {done.returncode}"
    hint = "correct flags of the kernel group" if done.stderr.startswith("tileiras: ") else None
    return CompileError(f"{place} does not compile for {arch.sm} ({what})", hint=hint, detail=output or None)


def _built_kernel(export: TileExport, image: Stored) -> BuiltKernel:
    parameters = tuple(Parameter(*pair) for pair in image.facts["parameters"])
    return BuiltKernel(export.symbol, parameters, export.function)
