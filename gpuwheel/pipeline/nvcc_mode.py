"""Mode `nvcc`: CUDA and C++ sources by nvcc and the C++ compiler."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.cmake.embed_project import shipped_headers
from gpuwheel.compile.cmake.keys import nvcc_recipe
from gpuwheel.compile.cmake.memory import available_memory, kept_pool, nvcc_jobs
from gpuwheel.compile.cmake.nvcc_project import NvccProject, library_file, write_nvcc_project
from gpuwheel.compile.cmake.own_cmake import write_setup
from gpuwheel.compile.compat.file_names import compat_library
from gpuwheel.compile.compat.header_tree import compat_headers
from gpuwheel.compile.compat.python_module import module_files
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.manifest import library_entry, write_manifests
from gpuwheel.lock.check import BuildInputs, pin_digests
from gpuwheel.model.choices import PythonAbi, TorchAbi
from gpuwheel.model.promises import Claims
from gpuwheel.model.toolchain import NvccToolchain
from gpuwheel.pipeline.host_code import HostCodeBuild
from gpuwheel.toolchain.cuda.host_versions import find_nvcc_host_compiler
from gpuwheel.toolchain.cuda.linked_libraries import needed_libraries
from gpuwheel.toolchain.cuda.target import toolkit_for
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit, machine_toolkit
from gpuwheel.toolchain.one_program import as_one_program
from gpuwheel.toolchain.python_headers import find_package_folders, find_python_headers
from gpuwheel.wheel import Member

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.compile.cmake.keys import Given
    from gpuwheel.compile.reuse.linked import Recipe
    from gpuwheel.model.libraries import NvccLibrary
    from gpuwheel.model.pins import Pin
    from gpuwheel.model.toolchain import HostCompiler
    from gpuwheel.pipeline.session import Session

__all__ = ["NvccBuild"]

_WIDEST_TORCH_HEADER = "ATen/cuda/CUDAContext.h"
"""It includes headers of all libraries of the toolkit that torch itself uses."""
_SMALL, _LARGE = 1 << 30, 3 << 30
"""Bytes that nvcc takes at its peak for a source of CUDA alone, and for one with torch's C++ headers.

Measured with `/usr/bin/time -f %M nvcc -c -O3 -arch=sm_80`, nvcc 13.0.88: 0.4 GB for a source with cub, 3.1 GB for
one with torch/extension.h.
"""


class NvccBuild(HostCodeBuild["NvccToolchain", "NvccProject"]):
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._tables: Tables = load_tables()
        self._libraries = session.job.nvcc_libraries

    def requires(self) -> tuple[Pin, ...]:
        """Nothing: nvcc is kept unpacked in the cache, where its path stays the same from build to build."""
        return ()

    def inputs(self) -> BuildInputs:
        """The pinned nvcc or that of the machine, libraries to link, the headers of torch, and the C++ compiler."""
        session, toolkit = self._session, self._tables.cuda[self._session.cell.cuda]
        host = self._host()
        headers = () if self._job.torch_headers is None else (self._job.torch_headers,)
        # A toolkit of the machine has no pins: a lock holds the digest of its parts instead.
        own = machine_toolkit(toolkit, session.environ)
        if own is not None:
            own = toolkit_for(own, toolkit, host.machine, context=session.context)
            apart = needed_libraries(toolkit, self._job.linked, self._includes, apart=True)
            own_digest = {f"parts of CUDA toolkit {own.version}": own.digest}
            return BuildInputs((), (*headers, *apart), host, own_digest | session.link_digests(host))
        libraries = needed_libraries(toolkit, self._job.linked, self._includes)
        digests = pin_digests(toolkit.nvcc) | session.link_digests(host)
        return BuildInputs((), (*headers, *libraries), host, digests)

    @contextmanager
    def _configured(self, project: NvccProject, toolchain: NvccToolchain, work: Path) -> Iterator[inner.ConfigSettings]:
        own = self._job.own_cmake
        if own is not None:
            with self._kernel_trees(toolchain) as trees:
                setup = write_setup(project, self._job.cell.archs, work / "project", trees)
                yield inner.own_cmake_settings(self._settings(own, toolchain, work), setup=setup)
        else:
            write_nvcc_project(project, work / "project")
            yield self._settings(work / "project", toolchain, work)

    def _settings(self, folder: Path, toolchain: NvccToolchain, work: Path) -> inner.ConfigSettings:
        session = self._session
        settings = inner.host_settings(
            session.config.inner, project=folder, build=work / "build", host=toolchain.host, jobs=session.compilers
        )
        return inner.nvcc_settings(
            settings, cuda=toolchain.cuda, host=toolchain.host, python_tag=session.cell.python_tag
        )

    def _lasting(self, project: NvccProject, work: Path) -> NvccProject:
        """How many of nvcc there is memory for is as it was: CMake would configure anew each time."""
        return replace(project, pool=kept_pool(work / "pool", project.pool))

    def _recipe(self, project: NvccProject, given: Given) -> Recipe:
        return nvcc_recipe(project, given)

    def _files(self, toolchain: NvccToolchain) -> Mapping[str, Collection[str] | None]:
        return {library_file(library, toolchain): () if library.cubins else None for library in self._libraries}

    def _companions(self, members: Mapping[str, Member], toolchain: NvccToolchain) -> list[Member]:
        """The Python modules in front of libraries with `abi = "compat"`."""
        session = self._session
        made: dict[str, bytes] = {}
        beside = [found.path for found in toolchain.cuda.libraries]
        for library in filter(_is_compat, self._libraries):
            linked = members.get(compat_library(library.import_path))
            if linked is not None:  # the user's own settings may leave files out
                tools = (toolchain.host, toolchain.stubs)
                made |= module_files(
                    library.import_path, linked.data, tools, session.cache, session.tools.variables, beside
                )
        # A stub file of the project's own knows more of its module.
        new = {name: data for name, data in made.items() if not (name.endswith(".pyi") and name in members)}
        return [Member(name, data, name.endswith(".so")) for name, data in new.items()]

    def _claims(self, toolchain: NvccToolchain) -> Claims:
        cell, linked = self._job.cell, self._job.linked
        provided = frozenset(found.soname for found in toolchain.cuda.libraries if found.name in linked)
        return Claims(cell.torch_floor, cell.torch, cell.python is not None, provided)

    def _doing(self, project: NvccProject, toolchain: NvccToolchain) -> str:
        count = len(project.objects)
        kept = f"; {count} object{'s are' if count > 1 else ' is'} taken from the cache" if count else ""
        return f"compiling with nvcc of CUDA {toolchain.cuda.version} and {toolchain.host.identity}{kept}"

    def _kernel_trees(self, toolchain: NvccToolchain) -> AbstractContextManager[Path]:
        """Where kernels of the user's own CMake project are compiled: kept for each toolkit and host compiler."""
        root = self._session.config.project.root
        name = f"kernels {root} {toolchain.cuda.digest} {toolchain.host.identity}"
        return self._session.cache.workspace(name)

    def _toolchain(self, search_path: Sequence[str] | None = None) -> NvccToolchain:
        del search_path  # nvcc is never taken from the environment's packages
        session, tables = self._session, self._tables
        session.reporter.step("finding the toolchain")
        context, toolkit = session.context, tables.cuda[session.cell.cuda]
        host = self._host()
        includes = self._includes
        exact = session.cell.torch is TorchAbi.EXACT
        # torch/extension.h includes Python.h, whether or not the library is a Python module.
        needs_python = exact or any(library.python is not PythonAbi.NONE for library in self._libraries)
        limited = not any(library.python is PythonAbi.VERSION for library in self._libraries)
        python = find_python_headers(host.machine, limited=limited) if needs_python else None
        cuda = find_cuda_toolkit(
            toolkit, context=context, libraries=self._job.linked, includes=includes, machine=host.machine
        )
        headers = self._job.torch_headers
        torch = None if headers is None else session.torch_sdk(headers, host)
        stubs = session.found(f"nvcc    CUDA {cuda.version} ({cuda.found_via})", torch, host)
        return NvccToolchain(cuda, host, torch, python, stubs)

    def _host(self) -> HostCompiler:
        """The C++ compiler, as one program."""
        session = self._session
        toolkit = self._tables.cuda[session.cell.cuda]
        return as_one_program(find_nvcc_host_compiler(session.environ, toolkit, self._tables.cuda), session.cache)

    @property
    def _includes(self) -> frozenset[str]:
        """Names of headers that sources take from elsewhere; those of the user's own CMake project are not known."""
        if self._job.own_cmake is not None and self._session.cell.torch is TorchAbi.EXACT:
            return frozenset({_WIDEST_TORCH_HEADER})
        return _foreign_includes(self._libraries)

    def _project(self, toolchain: NvccToolchain, work: Path) -> NvccProject:
        session, tables = self._session, self._tables
        cell, config = session.cell, session.config
        exact = cell.torch is TorchAbi.EXACT
        entries = ((each.package, each.import_path, library_entry(each)) for each in self._libraries if each.cubins)
        # A broker sees the memory of all cells, and what each source took.
        shared, room = session.compilers, available_memory()
        pool = nvcc_jobs(shared, _LARGE if exact else _SMALL, room) if shared == session.jobs else shared
        return NvccProject(
            root=config.project.root,
            libraries=self._libraries,
            toolchain=toolchain,
            package_dirs=find_package_folders({name for lib in self._libraries for name in lib.include_packages}),
            headers=shipped_headers(session.cache),
            torch_floor=cell.torch_floor,
            cxx_standard=self._job.cxx_standard,
            limited_api=cell.python if cell.python_abi is PythonAbi.ABI3 else None,
            # CPU builds of torch have no libtorch_cuda.so: a library that refers to these weakly loads there too.
            weak_symbols=tuple(name for name, shim in tables.shims.items() if shim.library == "libtorch_cuda.so"),
            compression=self._job.nvcc_compression,
            compat=compat_headers(session.cache) if any(map(_is_compat, self._libraries)) else None,
            manifests=write_manifests(session.manifests(entries), work / "manifests"),
            jobs=session.jobs,
            pool=pool,
            guarded=config.project.name if config.settings.wheel.guard else None,
        )


def _is_compat(library: NvccLibrary) -> bool:
    return library.torch is TorchAbi.COMPAT


def _foreign_includes(libraries: Sequence[NvccLibrary]) -> frozenset[str]:
    """Names of headers that sources include and that no folder of theirs has."""
    names: set[str] = set()
    for library in libraries:
        scanner = IncludeScanner(library.include_dirs)
        names.update(name for source in library.sources for name in scanner.unresolved(source.path))
    return frozenset(names)
