"""cuTile from the package index: cuda-tile, tileiras and what tileiras uses, as pinned wheels of one toolkit.

They live in the cache alone. The environment of a build is not searched: there, cuda-tile would take the tileiras of
whatever CUDA toolkit it finds on PATH.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gpuwheel.model.toolchain import TileCompiler
from gpuwheel.toolchain.pinned_files import files_for, tree_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.model.pins import Pin, PinnedFile
    from gpuwheel.toolchain.context import Context

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
    files = files_for(toolkit.cutile, _HINT)
    key = tree_key(files, _LAYOUT)
    cached = context.cache.lookup("toolchains", key)
    if cached is not None:
        if _is_whole(cached, toolkit):
            return _compiler(cached, toolkit, "cache")
        context.reporter.warn(f"{cached} is damaged: provisioning it again")
        context.cache.remove("toolchains", key)
    return _compiler(_provision(toolkit, files, key, context), toolkit, "index, cached")


def cached_tile_compiler(toolkit: CudaToolkit, cache: Cache) -> TileCompiler | None:
    """The pinned cuTile of `toolkit`, if the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: no file of a pin is for this Python and machine.
    """
    key = tree_key(files_for(toolkit.cutile, _HINT), _LAYOUT)
    cached = cache.lookup("toolchains", key)
    return None if cached is None else _compiler(cached, toolkit, "cache")


def _provision(toolkit: CudaToolkit, files: Mapping[Pin, PinnedFile], key: str, context: Context) -> Path:
    # HTTP and its libraries are loaded here, and not by a build that finds everything in place.
    from gpuwheel.toolchain.provision import provision_wheels  # noqa: PLC0415

    def fill(folder: Path) -> None:
        provision_wheels({pin.name: file for pin, file in files.items()}, folder, context, leave_out=_LEFT_OUT)
        for name in _PROGRAMS:
            (_root(folder, toolkit) / "bin" / name).chmod(0o755)

    def on_wait() -> None:
        context.reporter.info("waiting for another build that is downloading cuTile")

    size = sum(file.size for file in files.values())
    context.reporter.info(f"downloading cuTile of CUDA {toolkit.version}, {size / 1e6:.0f} MB")
    return context.cache.publish_tree("toolchains", key, fill, on_wait=on_wait)


def _root(tree: Path, toolkit: CudaToolkit) -> Path:
    return tree / "nvidia" / f"cu{toolkit.version.major}"


def _is_whole(tree: Path, toolkit: CudaToolkit) -> bool:
    needed = [*(f"bin/{name}" for name in _PROGRAMS), "lib/libnvvm.so.*"]
    return all(any(_root(tree, toolkit).glob(name)) for name in needed) and (tree / "cuda/tile/__init__.py").is_file()


def _compiler(tree: Path, toolkit: CudaToolkit, found_via: str) -> TileCompiler:
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
