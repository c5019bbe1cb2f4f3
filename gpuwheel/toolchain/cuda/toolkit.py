"""Find the CUDA toolkit that extensions in mode `nvcc` are compiled with.

In this order, and always of the release that the project asks for:

1. what the environment names (CUDAToolkit_ROOT, CUDA_HOME, CUDA_PATH, CUDACXX): another release there is an error;
2. the pinned wheels of the package index, where it has nvcc of that release: the same compiler on every machine;
3. a toolkit of exactly that release on this machine: conda's, the one of `nvcc` on PATH, the system's.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._process import environment
from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import CudaToolchain
from gpuwheel.toolchain.cuda.linked_libraries import find_libraries
from gpuwheel.toolchain.cuda.nvcc_wheels import find_nvcc_wheels
from gpuwheel.toolchain.cuda.parts import check_parts, read_parts, toolkit_digest
from gpuwheel.toolchain.cuda.target import toolkit_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.index.context import Context
    from gpuwheel.model.versions import MinorVersion

__all__ = ["SYSTEM_ROOTS", "find_cuda_toolkit", "machine_toolkit"]

_ROOT_VARIABLES = ("CUDAToolkit_ROOT", "CUDA_HOME", "CUDA_PATH")
_COMPILER_VARIABLE = "CUDACXX"
SYSTEM_ROOTS = ("/usr/local/cuda-{version}", "/usr/local/cuda", "/opt/cuda")
"""Where installers of NVIDIA and of distributions put toolkits."""


def find_cuda_toolkit(
    toolkit: CudaToolkit,
    *,
    context: Context,
    libraries: Collection[str] = (),
    includes: Collection[str] = (),
    machine: str | None = None,
    system_roots: Sequence[str] = SYSTEM_ROOTS,
) -> CudaToolchain:
    """A toolkit with nvcc of the release of `toolkit`, whole and of one release.

    Args:
        toolkit: a row of the tables.
        context: cache, environment, reporter.
        libraries: libraries of the toolkit to link, as after `-l`.
        includes: names of headers that the sources take from elsewhere: some bring libraries with them.
        machine: the CPU architecture to compile for; without it, that of this machine.
        system_roots: folders of the machine to look in; "{version}" stands for the release.

    Raises:
        ToolchainError: the environment names a toolkit that is not whole or of another release; nobody has one; it
            has no libraries for `machine`.
        NetworkError: it has to be downloaded and cannot.
        CacheError: the cache cannot be written.
    """
    own = machine_toolkit(toolkit, context.environ, system_roots)
    native = find_nvcc_wheels(toolkit, context=context) if own is None else own
    cuda = toolkit_for(native, toolkit, machine or native.machine, context=context)
    return replace(cuda, libraries=find_libraries(cuda, toolkit, libraries, includes, context=context))


def machine_toolkit(
    toolkit: CudaToolkit, environ: Mapping[str, str], system_roots: Sequence[str] = SYSTEM_ROOTS
) -> CudaToolchain | None:
    """The toolkit of this machine that a build takes, without libraries; `None` where it takes the pinned wheels.

    Raises:
        ToolchainError: the environment names a toolkit that is not whole or of another release; nobody has one.
    """
    # Who names a toolkit means that one: a pinned one in its place would be a surprise.
    named = _named(environ)
    if named is not None:
        return _examined(*named, toolkit.version)
    return None if toolkit.nvcc else _on_machine(toolkit, environ, system_roots)


def _named(environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """The folder that the environment names, and the variable that does."""
    for variable in _ROOT_VARIABLES:
        if environ.get(variable):
            with environment(environ):
                return Path(environ[variable]).expanduser().absolute(), variable
    compiler = environ.get(_COMPILER_VARIABLE)
    if not compiler:
        return None
    found = shutil.which(compiler, path=environ.get("PATH", os.defpath))
    if found is None:
        msg = f"{_COMPILER_VARIABLE} names a compiler that is not found ({compiler})"
        raise ToolchainError(msg, hint=f"correct {_COMPILER_VARIABLE}, or unset it to use the pinned toolkit")
    # Through links: /usr/bin/nvcc often leads to bin of a toolkit.
    return Path(found).resolve().parent.parent, _COMPILER_VARIABLE


def _examined(root: Path, found_via: str, wanted: MinorVersion) -> CudaToolchain:
    version = check_parts(root, found_via)
    if version != wanted:
        msg = f"{found_via} names CUDA {version} and the project asks for {wanted} (found in {root})"
        hint = f"unset {found_via}, name a CUDA {wanted}, or ask for this one: -C gpuwheel.cuda={version}"
        raise ToolchainError(msg, hint=hint)
    return CudaToolchain(
        version=version,
        root=root,
        libraries=(),
        pins=(),
        digest=toolkit_digest(root),
        found_via=found_via,
        machine=platform.machine(),
    )


def _on_machine(toolkit: CudaToolkit, environ: Mapping[str, str], system_roots: Sequence[str]) -> CudaToolchain:
    seen = []
    for root, found_via in _machine_roots(toolkit.version, environ, system_roots):
        # Looked at before it is examined: a toolkit of another release is no mistake here, only not the one.
        release = read_parts(root).get("nvcc")
        if release == toolkit.version:
            return _examined(root, found_via, toolkit.version)
        if release is not None:
            seen.append(f"{release} in {root}")
    found = f"found {', '.join(seen)}" if seen else "found none on this machine"
    if toolkit.has_nvcc:
        msg = f"gpuwheel does not pin nvcc of CUDA {toolkit.version} ({found}, expected {toolkit.version})"
        hint = f"set CUDA_HOME to a CUDA {toolkit.version}, or cuda to a toolkit that gpuwheel pins"
    else:
        msg = f"no package index has nvcc of CUDA {toolkit.version}: its wheels hold parts of it ({found})"
        hint = (
            f"build in a container (nvidia/cuda:{toolkit.version}.*-devel), or conda install cuda-toolkit="
            f'{toolkit.version}, or set CUDA_HOME; mode = "embed" compiles with 12.9 and needs none'
        )
    raise ToolchainError(msg, hint=hint)


def _machine_roots(
    version: MinorVersion, environ: Mapping[str, str], system_roots: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    if environ.get("CONDA_PREFIX"):
        yield Path(environ["CONDA_PREFIX"]), "conda"
    nvcc = shutil.which("nvcc", path=environ.get("PATH", os.defpath))
    if nvcc is not None:
        yield Path(nvcc).resolve().parent.parent, "PATH"
    for root in system_roots:
        yield Path(root.format(version=version)), "system"
