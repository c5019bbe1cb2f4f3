"""Find NVRTC, nvFatbin and the CUDA headers: in the build environment, in the cache, or on the package index.

Only exact pins count, found through `importlib.metadata`: under pip's build isolation `sys.prefix` and
`site.getsitepackages()` name the outer environment, so anything that searches there finds other versions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import DeviceCompiler
from gpuwheel.toolchain.headers import find_headers
from gpuwheel.toolchain.pinned_files import files_for
from gpuwheel.toolchain.verify import UnpackedWheels

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.index.context import Context
    from gpuwheel.model.pins import HeadersPin

__all__ = ["find_device_compiler", "present_device_compiler"]

_RUNTIME_HEADER, _CCCL_HEADER = "cuda_runtime.h", "cub/cub.cuh"
_LEFT_OUT = (
    "*.alt.so.*",  # NVRTC a second time, for older CPUs of servers: 114 MB
    *("*.a", "*.pxd", "*.pxd.in", "*.pyx", "*.pyx.in"),  # for who links or compiles against them
)
_LAYOUT = "1"  # of a provisioned folder; part of its key
_HINT = "build with a released CPython, 3.10 or newer, on x86_64 or aarch64"


def find_device_compiler(
    toolkit: CudaToolkit,
    *,
    context: Context,
    includes: Collection[str] = (),
    search_path: Sequence[str] | None = None,
) -> DeviceCompiler:
    """The device compiler of `toolkit`, exactly as pinned.

    Args:
        toolkit: a row of the tables, with its pins.
        context: cache, environment, reporter.
        includes: names of headers that the device sources take from the toolkit: what few need comes only for those.
        search_path: where installed distributions are looked for; `sys.path` unless stated.

    Raises:
        ToolchainError: there is no pin, or no file of a pin for this Python and machine.
        NetworkError: it has to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    if not toolkit.components:
        msg = f"CUDA {toolkit.version} has no pinned device compiler"
        raise ToolchainError(msg, hint="set tool.gpuwheel.cuda to a toolkit that gpuwheel pins, such as 12.9")
    compiler = replace(_find(toolkit, context, search_path), environ=context.environ)
    for pin in toolkit.headers:
        if pin.is_needed_for(includes):
            compiler = _with_headers(compiler, pin, context, search_path)
    return compiler


def present_device_compiler(
    toolkit: CudaToolkit, cache: Cache, search_path: Sequence[str] | None = None
) -> DeviceCompiler | None:
    """The device compiler, if this environment or the cache has it; nothing is downloaded.

    Raises:
        ToolchainError: there is no file of a pin for this Python and machine.
    """
    installed = _locate(toolkit, search_path, "build environment")
    if installed is not None:
        return installed
    cached = _wheels(toolkit).cached(cache)
    return None if cached is None else _locate(toolkit, [str(cached)], "cache")


def _find(toolkit: CudaToolkit, context: Context, search_path: Sequence[str] | None) -> DeviceCompiler:
    installed = _locate(toolkit, search_path, "build environment")
    if installed is not None:
        return installed
    folder, found_via = _wheels(toolkit).provide(context)
    found = _locate(toolkit, [str(folder)], found_via)
    if found is None:
        msg = f"the device compiler of CUDA {toolkit.version} lacks a file (in {folder})"
        raise ToolchainError(msg, hint="this is a bug in gpuwheel's tables: please report it")
    return found


def _wheels(toolkit: CudaToolkit) -> UnpackedWheels:
    what = f"the device compiler of CUDA {toolkit.version}"
    return UnpackedWheels(what, files_for(toolkit.components, _HINT), _LAYOUT, _LEFT_OUT)


def _with_headers(
    compiler: DeviceCompiler, pin: HeadersPin, context: Context, search_path: Sequence[str] | None
) -> DeviceCompiler:
    distribution = _distribution(pin.name, search_path)
    installed = _root(distribution) if distribution is not None and distribution.version == pin.version else None
    headers = find_headers(pin, context=context, installed=installed)
    context.reporter.info(f"headers of {pin.requirement} ({headers.found_via})")
    return replace(
        compiler,
        pins=tuple(sorted((*compiler.pins, pin.requirement))),
        include_dirs=(*compiler.include_dirs, headers.include_dir),
        digest=hashlib.sha256(f"{compiler.digest}\n{pin.digest}".encode()).hexdigest(),
    )


def _locate(toolkit: CudaToolkit, search_path: Sequence[str] | None, found_via: str) -> DeviceCompiler | None:
    """The compiler among installed distributions, if every pin is there at its version with the files we use."""
    distributions = []
    for pin in toolkit.components:
        distribution = _distribution(pin.name, search_path)
        if distribution is None or distribution.version != pin.version:
            return None
        distributions.append(distribution)
    major = toolkit.version.major
    # Of every file that is used: a pin that is installed in part is none.
    wanted = (f"libnvrtc.so.{major}", f"libnvfatbin.so.{major}", _RUNTIME_HEADER, _CCCL_HEADER)
    places = _places(distributions, wanted)
    if len(places) != len(wanted):
        return None
    nvrtc, nvfatbin, runtime, cccl = (places[name] for name in wanted)
    pins = tuple(sorted(pin.requirement for pin in toolkit.components))
    return DeviceCompiler(
        cuda=toolkit.version,
        pins=pins,
        python_path=tuple(dict.fromkeys(_root(distribution) for distribution in distributions)),
        nvrtc=nvrtc,
        nvfatbin=nvfatbin,
        # From the folder that "cub/cub.cuh" is relative to.
        include_dirs=(runtime.parent, cccl.parent.parent),
        # Of the pins: no index lets a file change under its name, so the same pins are the same bytes.
        digest=hashlib.sha256("\n".join(pins).encode()).hexdigest(),
        found_via=found_via,
    )


def _distribution(name: str, search_path: Sequence[str] | None) -> importlib.metadata.Distribution | None:
    path = sys.path if search_path is None else list(search_path)
    # The first on the path, as an import would take.
    return next(iter(importlib.metadata.distributions(name=name, path=path)), None)


def _root(distribution: importlib.metadata.Distribution) -> Path:
    return Path(str(distribution.locate_file(""))).absolute()


def _places(distributions: Sequence[importlib.metadata.Distribution], wanted: Sequence[str]) -> dict[str, Path]:
    """Where the recorded files that end in `/<wanted>` lie, if they exist."""
    endings = {f"/{name}": name for name in wanted}
    places: dict[str, Path] = {}
    for distribution in distributions:
        root = _root(distribution)
        # RECORD as text: `Distribution.files` makes a path object of each of thousands of headers.
        for line in (distribution.read_text("RECORD") or "").splitlines():
            member = line.partition(",")[0]
            for ending, name in endings.items():
                if member.endswith(ending) and (path := root / member).is_file():
                    places.setdefault(name, path)
    return places
