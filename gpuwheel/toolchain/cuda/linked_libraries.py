"""Libraries of the CUDA toolkit to compile and link against: cuBLAS and others.

Linking needs headers and a name. The wheels on the index have hundreds of megabytes of code beside those, which the
users of the extension install and its builder does not need.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.binary.elf import MACHINES
from gpuwheel.binary.stub import stub_library
from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import CudaLibrary
from gpuwheel.toolchain.cuda.parts import include_folder
from gpuwheel.toolchain.headers import find_headers
from gpuwheel.toolchain.linking.kept_stubs import keep_stubs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.index.context import Context
    from gpuwheel.model.pins import LibraryPin
    from gpuwheel.model.toolchain import CudaToolchain

__all__ = ["find_libraries", "needed_libraries"]

_DRIVER = "cuda"
_OF_THE_TOOLKIT = "nvidia/cu1"
"""Where wheels put what is of the toolkit itself, of any major."""
_RUNTIME, _RUNTIME_PROJECT = "cudart", "nvidia-cuda-runtime"
_SONAME = re.compile(r"lib.+\.so\.\d+")


def find_libraries(
    cuda: CudaToolchain, toolkit: CudaToolkit, names: Collection[str], includes: Collection[str], *, context: Context
) -> tuple[CudaLibrary, ...]:
    """The libraries that an extension links, and those whose headers it includes.

    Args:
        cuda: the toolkit that compiles.
        toolkit: its row of the tables.
        names: as after `-l`: "cublasLt".
        includes: names of headers that the sources take from elsewhere.
        context: cache, environment, reporter.

    Raises:
        ToolchainError: the toolkit has no such library.
        NetworkError: headers have to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    names = set(names) - {_DRIVER}  # of no toolkit: functions of the driver are looked up at run time
    found: list[CudaLibrary] = []
    if not cuda.pins:
        # A toolkit of the machine brings its own libraries, yet never cuDNN and its like.
        apart = needed_libraries(toolkit, names, includes, apart=True)
        elsewhere = {name for pin in apart for name, _ in pin.sonames}
        found += [_of_machine(cuda, toolkit, name) for name in sorted(names - elsewhere)]
        return (*found, *(library for pin in apart for library in _from_pin(pin, cuda.machine, context)))
    known = {name for pin in toolkit.libraries for name, _ in pin.sonames} | {_RUNTIME}
    unknown = sorted(set(names) - known)
    if unknown:
        names_known = ", ".join(sorted(known | {_DRIVER}))
        msg = f"libraries names {unknown[0]!r}, which gpuwheel does not pin for CUDA {toolkit.version} ({names_known})"
        hint = f'one of the system or of yours is linked by link-flags = ["-l{unknown[0]}"], a further one of CUDA by '
        raise ToolchainError(msg, hint=f"{hint}CUDA_HOME, which names a whole toolkit")
    if _RUNTIME in names:
        found.append(_runtime(cuda, toolkit))
    for pin in needed_libraries(toolkit, names, includes):
        found += _from_pin(pin, cuda.machine, context)
    return tuple(found)


def needed_libraries(
    toolkit: CudaToolkit, names: Collection[str], includes: Collection[str], *, apart: bool = False
) -> tuple[LibraryPin, ...]:
    """The pins of libraries that an extension links or whose headers it includes; arguments as above.

    `apart`: only those of libraries that no toolkit of a machine holds, such as cuDNN.
    """
    return tuple(
        pin
        for pin in toolkit.libraries
        if (not apart or not pin.prefix.startswith(_OF_THE_TOOLKIT))
        and (any(name in names for name, _ in pin.sonames) or pin.is_needed_for(includes))
    )


def _from_pin(pin: LibraryPin, machine: str, context: Context) -> Iterator[CudaLibrary]:
    places = {name: {it: f"lib/{it}/lib{name}.so" for it in MACHINES} for name, _ in pin.sonames}
    stubs = {places[name][it]: stub_library(soname, it) for name, soname in pin.sonames for it in MACHINES}
    headers = find_headers(pin, context=context)
    kept = keep_stubs(stubs, context)
    context.reporter.info(f"headers of {pin.requirement} ({headers.found_via})")
    for name, soname in pin.sonames:
        path = kept / places[name][machine]
        # NVIDIA's wheels have their libraries in lib beside include.
        installed = f"{pin.prefix.removesuffix('include/')}lib"
        yield CudaLibrary(name, soname, path, headers.include_dir, pin.run_time_requirement, installed)


def _runtime(cuda: CudaToolchain, toolkit: CudaToolkit) -> CudaLibrary:
    requirement = next((pin.run_time_requirement for pin in toolkit.nvcc if pin.name == _RUNTIME_PROJECT), None)
    library = cuda.root / "lib64" / f"lib{_RUNTIME}.so"
    return CudaLibrary(_RUNTIME, library.resolve().name, library, include_folder(cuda.root), requirement)


def _of_machine(cuda: CudaToolchain, toolkit: CudaToolkit, name: str) -> CudaLibrary:
    folders = [cuda.root / "lib64", cuda.root / "lib", *sorted(cuda.root.glob("targets/*-linux/lib"))]
    link = next((folder / f"lib{name}.so" for folder in folders if (folder / f"lib{name}.so").exists()), None)
    soname = next(iter(_sonames(link)), None) if link else None
    if link is None or soname is None:
        where = f"lib{name}.so is missing in {folders[0].resolve()}"
        msg = f"the CUDA toolkit ({cuda.found_via}) has no library {name!r} for {cuda.machine} ({where})"
        raise ToolchainError(msg, hint=f"install its development package, or unset {cuda.found_via} to use the index")
    requirement = next((pin.run_time_requirement for pin in toolkit.libraries if name in dict(pin.sonames)), None)
    return CudaLibrary(name, soname, link, include_folder(cuda.root), requirement)


def _sonames(link: Path) -> Iterator[str]:
    """`libcublas.so` links to `libcublas.so.13`, which links to the file."""
    while link.is_symlink():
        link = link.parent / link.readlink()
        # The name with the major alone is the SONAME; the one behind it has the whole version.
        if _SONAME.fullmatch(link.name):
            yield link.name
