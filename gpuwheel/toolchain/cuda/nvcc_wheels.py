"""nvcc from the package index: pinned wheels of one toolkit, unpacked into the layout that nvcc and CMake accept."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from gpuwheel.model.toolchain import CudaToolchain
from gpuwheel.toolchain.cuda.parts import check_parts
from gpuwheel.toolchain.pinned_files import files_for, files_on
from gpuwheel.toolchain.verify import UnpackedWheels

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.index.context import Context

__all__ = ["cached_nvcc", "cached_target_libraries", "find_nvcc_wheels", "find_target_libraries"]

_LEFT_OUT = ("libnvvm.so*",)  # for programs that compile at run time; nvcc has its own copy in cicc: 63 MB
_LAYOUT = "1"  # of a provisioned folder; part of its key
_HINT = "build on x86_64 or aarch64 with glibc, or name a toolkit with CUDA_HOME"
_PROGRAMS = ("bin", "nvvm/bin")


def find_nvcc_wheels(toolkit: CudaToolkit, *, context: Context) -> CudaToolchain:
    """The pinned nvcc of `toolkit`, from the cache or the package index.

    Raises:
        ToolchainError: no file of a pin is for this machine.
        NetworkError: it has to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    wheels = _nvcc(toolkit)
    tree, found_via = wheels.provide(context)
    return _toolchain(tree, toolkit, wheels.key, found_via)


def cached_nvcc(toolkit: CudaToolkit, cache: Cache) -> CudaToolchain | None:
    """The pinned nvcc of `toolkit`, if the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: no file of a pin is for this machine.
    """
    wheels = _nvcc(toolkit)
    cached = wheels.cached(cache)
    return None if cached is None else _toolchain(cached, toolkit, wheels.key, "cache")


def find_target_libraries(toolkit: CudaToolkit, machine: str, *, context: Context) -> tuple[Path, str]:
    """The folder of the pinned libraries of `toolkit` for another CPU architecture, and what identifies them.

    Raises:
        ToolchainError: no file of a pin is for it.
        NetworkError: they have to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    wheels = _target_libraries(toolkit, machine)
    tree, _ = wheels.provide(context)
    return _root(tree, toolkit) / "lib64", wheels.key


def cached_target_libraries(toolkit: CudaToolkit, machine: str, cache: Cache) -> Path | None:
    """The folder that `find_target_libraries` gives, if the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: no file of a pin is for the CPU architecture.
    """
    cached = _target_libraries(toolkit, machine).cached(cache)
    return None if cached is None else _root(cached, toolkit) / "lib64"


def _nvcc(toolkit: CudaToolkit) -> UnpackedWheels:
    def complete(tree: Path) -> None:
        _complete(_root(tree, toolkit))
        check_parts(_root(tree, toolkit), "index")

    files = files_for(toolkit.nvcc, _HINT)
    return UnpackedWheels(f"nvcc of CUDA {toolkit.version}", files, _LAYOUT, _LEFT_OUT, complete)


def _target_libraries(toolkit: CudaToolkit, machine: str) -> UnpackedWheels:
    linked = (pin for pin in toolkit.nvcc if pin.linked)
    files = files_on(machine, linked, "set CXX to a compiler for x86_64 or aarch64, or CUDA_HOME to a toolkit for it")

    def complete(tree: Path) -> None:
        _name_libraries(_root(tree, toolkit))

    what = f"libraries of CUDA {toolkit.version} for {machine}"
    return UnpackedWheels(what, files, _LAYOUT, _LEFT_OUT, complete, runs=False)


def _complete(root: Path) -> None:
    """What the wheels lack of a toolkit: permissions, lib64 (nvcc before 13.2), names for -l (CMake, linkers)."""
    for folder in _PROGRAMS:
        for program in (root / folder).iterdir():
            if program.is_file():
                # `unpack` writes files as data: whatever permissions an archive names, programs are chosen here.
                program.chmod(0o755)
    _name_libraries(root)


def _name_libraries(root: Path) -> None:
    for library in sorted((root / "lib").glob("*.so.*")):
        link = library.with_name(library.name.partition(".so.")[0] + ".so")
        if not link.exists():
            link.symlink_to(library.name)
    (root / "lib64").symlink_to("lib")


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
