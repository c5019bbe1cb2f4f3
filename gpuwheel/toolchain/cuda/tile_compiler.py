"""cuTile from the package index: cuda-tile, tileiras and what tileiras uses, as pinned wheels of one toolkit.

They live in the cache alone. The environment of a build is not searched: there, cuda-tile would take the tileiras of
whatever CUDA toolkit it finds on PATH.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.model.toolchain import TileCompiler
from gpuwheel.toolchain.pinned_files import files_for
from gpuwheel.toolchain.verify import UnpackedWheels

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.index.context import Context

__all__ = ["cached_tile_compiler", "find_tile_compiler"]

_LEFT_OUT = ("nvcc", "cicc", "cudafe++", "nvlink", "tileirdisasm")  # other programs of the same wheels: 205 MB
_PROGRAMS = ("tileiras", "ptxas", "fatbinary")
_LAYOUT = "1"  # of a provisioned folder; part of its key
_HINT = "build with CPython 3.10 to 3.14, on x86_64 or aarch64 with glibc"


def find_tile_compiler(toolkit: CudaToolkit, *, context: Context) -> TileCompiler:
    """The pinned cuTile of `toolkit`, from the cache or the package index.

    Raises:
        ToolchainError: no file of a pin is for this Python and machine.
        NetworkError: it has to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    return replace(_compiler(toolkit, *_wheels(toolkit).provide(context)), environ=context.environ)


def cached_tile_compiler(toolkit: CudaToolkit, cache: Cache) -> TileCompiler | None:
    """The pinned cuTile of `toolkit`, if the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: no file of a pin is for this Python and machine.
    """
    cached = _wheels(toolkit).cached(cache)
    return None if cached is None else _compiler(toolkit, cached, "cache")


def _wheels(toolkit: CudaToolkit) -> UnpackedWheels:
    def complete(folder: Path) -> None:
        for name in _PROGRAMS:
            (_root(folder, toolkit) / "bin" / name).chmod(0o755)

    return UnpackedWheels(
        f"cuTile of CUDA {toolkit.version}", files_for(toolkit.cutile, _HINT), _LAYOUT, _LEFT_OUT, complete
    )


def _root(tree: Path, toolkit: CudaToolkit) -> Path:
    return tree / "nvidia" / f"cu{toolkit.version.major}"


def _compiler(toolkit: CudaToolkit, tree: Path, found_via: str) -> TileCompiler:
    pins = tuple(sorted(pin.requirement for pin in toolkit.cutile))
    return TileCompiler(
        cuda=toolkit.version,
        pins=pins,
        python_path=tree,
        tileiras=_root(tree, toolkit) / "bin" / "tileiras",
        fatbinary=_root(tree, toolkit) / "bin" / "fatbinary",
        digest=hashlib.sha256("\n".join(pins).encode()).hexdigest(),
        found_via=found_via,
    )
