"""nvcc from the package index: pinned wheels of one toolkit, unpacked into the layout that nvcc and CMake accept."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from gpuwheel.model.toolchain import CudaToolchain
from gpuwheel.toolchain.cuda_parts import check_parts
from gpuwheel.toolchain.pinned_files import files_for, files_on, tree_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.model.pins import Pin, PinnedFile
    from gpuwheel.toolchain.context import Context

__all__ = ["cached_nvcc", "cached_target_libraries", "find_nvcc_wheels", "find_target_libraries"]

_LEFT_OUT = ("libnvvm.so*",)  # for programs that compile at run time; nvcc has its own copy in cicc: 63 MB
_LAYOUT = "1"  # of a provisioned folder; part of its key
_HINT = "build on x86_64 or aarch64 with glibc, or name a toolkit with CUDA_HOME"
_PROGRAMS = ("bin", "nvvm/bin")
_STATIC_RUNTIME = "lib64/libcudart_static.a"


def find_nvcc_wheels(toolkit: CudaToolkit, *, context: Context) -> CudaToolchain:
    """The pinned nvcc of `toolkit`, from the cache or the package index.

    Raises:
        ToolchainError: no file of a pin is for this machine.
        NetworkError: it has to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    files = files_for(toolkit.nvcc, _HINT)
    key = tree_key(files, _LAYOUT)
    cached = context.cache.lookup("toolchains", key)
    if cached is not None:
        if _is_whole(_root(cached, toolkit)):
            return _toolchain(cached, toolkit, key, "cache")
        context.reporter.warn(f"{cached} is damaged: provisioning it again")
        context.cache.remove("toolchains", key)

    def complete(tree: Path) -> None:
        _complete(_root(tree, toolkit))
        check_parts(_root(tree, toolkit), "index")

    tree = _provision(f"nvcc of CUDA {toolkit.version}", files, key, context, complete)
    return _toolchain(tree, toolkit, key, "index, cached")


def cached_nvcc(toolkit: CudaToolkit, cache: Cache) -> CudaToolchain | None:
    """The pinned nvcc of `toolkit`, if the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: no file of a pin is for this machine.
    """
    key = tree_key(files_for(toolkit.nvcc, _HINT), _LAYOUT)
    cached = cache.lookup("toolchains", key)
    return None if cached is None else _toolchain(cached, toolkit, key, "cache")


def find_target_libraries(toolkit: CudaToolkit, machine: str, *, context: Context) -> tuple[Path, str]:
    """The folder of the pinned libraries of `toolkit` for another CPU architecture, and what identifies them.

    Raises:
        ToolchainError: no file of a pin is for it.
        NetworkError: they have to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    files = _linked_files(toolkit, machine)
    key = tree_key(files, _LAYOUT)
    cached = context.cache.lookup("toolchains", key)
    if cached is not None and not (_root(cached, toolkit) / _STATIC_RUNTIME).is_file():
        context.reporter.warn(f"{cached} is damaged: provisioning it again")
        context.cache.remove("toolchains", key)
        cached = None
    what = f"libraries of CUDA {toolkit.version} for {machine}"
    tree = cached or _provision(what, files, key, context, lambda tree: _name_libraries(_root(tree, toolkit)))
    return _root(tree, toolkit) / "lib64", key


def cached_target_libraries(toolkit: CudaToolkit, machine: str, cache: Cache) -> Path | None:
    """The folder of those libraries, if the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: no file of a pin is for the CPU architecture.
    """
    cached = cache.lookup("toolchains", tree_key(_linked_files(toolkit, machine), _LAYOUT))
    return None if cached is None else _root(cached, toolkit) / "lib64"


def _linked_files(toolkit: CudaToolkit, machine: str) -> dict[Pin, PinnedFile]:
    linked = (pin for pin in toolkit.nvcc if pin.linked)
    return files_on(machine, linked, "set CXX to a compiler for x86_64 or aarch64, or CUDA_HOME to a toolkit for it")


def _provision(
    what: str, files: Mapping[Pin, PinnedFile], key: str, context: Context, complete: Callable[[Path], None]
) -> Path:
    """The folder of unpacked wheels; `complete` adds to it what they lack."""
    # HTTP and its libraries are loaded here, and not by a build that finds everything in place.
    from gpuwheel.toolchain.provision import provision_wheels  # noqa: PLC0415

    def fill(folder: Path) -> None:
        provision_wheels({pin.name: file for pin, file in files.items()}, folder, context, leave_out=_LEFT_OUT)
        complete(folder)

    def on_wait() -> None:
        context.reporter.info(f"waiting for another build that is downloading {what}")

    size = sum(file.size for file in files.values())
    context.reporter.info(f"downloading {what}, {size / 1e6:.0f} MB")
    return context.cache.publish_tree("toolchains", key, fill, on_wait=on_wait)


def _complete(root: Path) -> None:
    """What the wheels lack of a toolkit: permissions, lib64 (nvcc before 13.2), names for -l (CMake, linkers)."""
    for folder in _PROGRAMS:
        for program in (root / folder).iterdir():
            if program.is_file():
                program.chmod(0o755)
    _name_libraries(root)


def _name_libraries(root: Path) -> None:
    for library in sorted((root / "lib").glob("*.so.*")):
        link = library.with_name(library.name.partition(".so.")[0] + ".so")
        if not link.exists():
            link.symlink_to(library.name)
    (root / "lib64").symlink_to("lib")


def _is_whole(root: Path) -> bool:
    names = ("bin/nvcc", "bin/ptxas", "nvvm/bin/cicc", "include/cuda_runtime.h", _STATIC_RUNTIME)
    return all((root / name).is_file() for name in names)


def _root(tree: Path, toolkit: CudaToolkit) -> Path:
    return tree / "nvidia" / f"cu{toolkit.version.major}"


def _toolchain(tree: Path, toolkit: CudaToolkit, key: str, found_via: str) -> CudaToolchain:
    return CudaToolchain(
        version=toolkit.version,
        root=_root(tree, toolkit),
        libraries=(),
        pins=tuple(sorted(pin.requirement for pin in toolkit.nvcc)),
        digest=key,
        found_via=found_via,
        machine=platform.machine(),
    )
