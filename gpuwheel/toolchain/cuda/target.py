"""A CUDA toolkit that compiles for another CPU architecture than that of the machine that builds.

nvcc takes its target from the host compiler that it is given, and tells cudafe++, cicc and nvlink what follows from it.
Headers are the same for every machine (`ci/tables/update_pins.py` compares them). What is left are the libraries that
become a part of an extension. So the toolkit is shown once more, as a folder of links, with those of the other machine
in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.errors import ToolchainError
from gpuwheel.toolchain.cuda.nvcc_wheels import find_target_libraries
from gpuwheel.toolchain.cuda.parts import include_folder

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.index.context import Context
    from gpuwheel.model.toolchain import CudaToolchain

__all__ = ["target_libraries", "toolkit_for"]

_LAYOUT = "1"  # of the folder of links; part of its key
# Folders in `targets` of a toolkit, from its cross-platform packages; "sbsa" are servers with Arm CPUs.
_TARGETS = {"aarch64": ("sbsa-linux", "aarch64-linux"), "x86_64": ("x86_64-linux",)}
_NEEDED = ("libcudart_static.a", "libcudadevrt.a")


def toolkit_for(cuda: CudaToolchain, toolkit: CudaToolkit, machine: str, *, context: Context) -> CudaToolchain:
    """`cuda` with libraries for `machine`; itself where it has those.

    Args:
        cuda: a toolkit of the machine, or from the index.
        toolkit: its row of the tables.
        machine: the CPU architecture to compile for, as the host compiler names it: "aarch64".
        context: cache, environment, reporter.

    Raises:
        ToolchainError: a toolkit of the machine has no libraries for `machine`, or no file of a pin is for it.
        NetworkError: the libraries have to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    if machine == cuda.machine:
        return cuda
    include = include_folder(cuda.root)
    if cuda.pins:
        libraries, state = find_target_libraries(toolkit, machine, context=context)
    else:
        libraries = target_libraries(cuda, machine)
        # They become a part of extensions, and a package manager may replace them in place.
        state = " ".join(f"{name} {_size_and_time(libraries / name)}" for name in _NEEDED)
    links = {
        "nvvm": cuda.root / "nvvm",
        "include": include,
        "lib": libraries,
        "lib64": libraries,
        # Each program by a link of its own: nvcc finds its toolkit from the folder that it was started in.
        **{f"bin/{path.name}": path for path in sorted((cuda.root / "bin").iterdir())},
    }
    text = "\n".join([_LAYOUT, cuda.digest, machine, state, *(f"{name} {path}" for name, path in links.items())])
    digest = hashlib.sha256(text.encode()).hexdigest()

    def fill(folder: Path) -> None:
        (folder / "bin").mkdir()
        for name, path in links.items():
            (folder / name).symlink_to(path)

    root = context.cache.publish_tree("toolchains", f"cross-{machine}-{digest[:32]}", fill)
    context.reporter.info(f"libraries of CUDA {cuda.version} for {machine} are in {libraries}")
    return replace(cuda, root=root, digest=digest, machine=machine)


def target_libraries(cuda: CudaToolchain, machine: str) -> Path:
    """Where a toolkit of the machine has libraries for `machine`.

    Raises:
        ToolchainError: it has none.
    """
    if machine == cuda.machine:
        return cuda.root / "lib64"
    names = _TARGETS.get(machine, ())
    folders = [cuda.root / "targets" / name / "lib" for name in names]
    for folder in folders:
        if all((folder / library).is_file() for library in _NEEDED):
            return folder
    major, minor = cuda.version.major, cuda.version.minor
    msg = (
        f"the CUDA toolkit in {cuda.root} ({cuda.found_via}) has no libraries for {machine} "
        f"(expected {_NEEDED[0]} in {' or '.join(map(str, folders)) or 'targets'})"
    )
    hint = f"apt install cuda-cross-sbsa-{major}-{minor}, or unset {cuda.found_via} to use the index"
    raise ToolchainError(msg, hint=hint)


def _size_and_time(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
