"""Mode `nvcc`: CUDA and C++ sources by nvcc and the C++ compiler."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.cmake.embed_project import shipped_headers
from gpuwheel.compile.cmake.keys import Given, nvcc_recipe
from gpuwheel.compile.cmake.memory import available_memory, kept_pool, nvcc_jobs
from gpuwheel.compile.cmake.nvcc_project import NvccProject, library_file, write_nvcc_project
from gpuwheel.compile.cmake.own_cmake import write_setup
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.manifest import library_entry, write_manifests
from gpuwheel.lock.check import BuildInputs, pin_digests
from gpuwheel.model.choices import PythonAbi, TorchAbi
from gpuwheel.model.promises import Claims, Expected
from gpuwheel.model.toolchain import NvccToolchain
from gpuwheel.pipeline.linking import Linked, link_once
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain.cuda.host_versions import find_nvcc_host_compiler
from gpuwheel.toolchain.cuda.linked_libraries import needed_libraries
from gpuwheel.toolchain.cuda.target import toolkit_for
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit, machine_toolkit
from gpuwheel.toolchain.one_program import as_one_program
from gpuwheel.toolchain.python_headers import find_package_folders, find_python_headers
from gpuwheel.wheel import read_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.libraries import NvccLibrary
    from gpuwheel.model.pins import Pin
    from gpuwheel.model.toolchain import HostCompiler
    from gpuwheel.pipeline.session import Session
    from gpuwheel.wheel import Wheel

__all__ = ["NvccBuild"]

_WIDEST_TORCH_HEADER = "ATen/cuda/CUDAContext.h"
"""It includes headers of all libraries of the toolkit that torch itself uses."""
_SMALL, _LARGE = 1 << 30, 3 << 30
"""Bytes that nvcc takes at its peak for a source of CUDA alone, and for one with torch's C++ headers.

Measured with `/usr/bin/time -f %M nvcc -c -O3 -arch=sm_80`, nvcc 13.0.88: 0.4 GB for a source with cub, 3.1 GB for
one with torch/extension.h.
"""


class NvccBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: Tables = load_tables()
        self._libraries = session.job.nvcc_libraries

    def requires(self) -> tuple[Pin, ...]:
        """Nothing: nvcc is kept unpacked in the cache, where its path stays the same from build to build."""
        return ()

    def inputs(self) -> BuildInputs:
        """The pinned nvcc or that of the machine, libraries to link, the headers of torch, and the C++ compiler."""
        session, toolkit = self._session, self._tables.cuda[self._session.cell.cuda]
        host = self._host()
        headers = () if session.job.torch_headers is None else (session.job.torch_headers,)
        # A toolkit of the machine has no pins: a lock holds the digest of its parts instead.
        own = machine_toolkit(toolkit, session.environ)
        if own is not None:
            own = toolkit_for(own, toolkit, host.machine, context=session.context)
            apart = needed_libraries(toolkit, self._session.job.linked, self._includes, apart=True)
            own_digest = {f"parts of CUDA toolkit {own.version}": own.digest}
            return BuildInputs((), (*headers, *apart), host, own_digest | session.link_digests(host))
        libraries = needed_libraries(toolkit, self._session.job.linked, self._includes)
        digests = pin_digests(toolkit.nvcc) | session.link_digests(host)
        return BuildInputs((), (*headers, *libraries), host, digests)

    def fetch(self) -> None:
        """Everything that is not of this machine."""
        self._toolchain()

    @contextmanager
    def compiled(self, *, editable: bool, keep: bool = False) -> Iterator[Compiled]:
        """The inner backend's wheel."""
        session, cell, config = self._session, self._session.cell, self._session.config
        toolchain = self._toolchain()
        with session.workspace(keep=editable or keep) as work, session.cache.scratch() as out:
            project = self._project(toolchain, work)
            save: Callable[[], None] = lambda: None  # noqa: E731 (mypy wants its type)
            if session.job.own_cmake is not None or editable or "build-dir" in config.inner:
                wheel = read_wheel(self._build(project, work, out, editable=editable))
            else:
                wheel, save = self._build_once(project, work, out)
            expected = Expected(
                Claims(cell.torch_floor, cell.torch, cell.python_tag != "py3-none", self._provided(toolchain)),
                with_kernels={library_file(library, toolchain): () for library in self._libraries if library.cubins},
                build_folders=[str(work), str(config.project.root)],
                platform=toolchain.stubs.platform if toolchain.stubs else None,
            )
            yield Compiled(wheel, expected, toolchain, save)

    def _build_once(self, project: NvccProject, work: Path, out: Path) -> tuple[Wheel, Callable[[], None]]:
        """The same wheel, with libraries or objects from the cache if the same ones were made before."""
        session = self._session
        settings = {**session.config.inner_table, **session.config.inner}
        recipe = nvcc_recipe(project, Given(session.cache, project.toolchain.host, settings, session.tools))
        project = replace(project, names_link_inputs=recipe.names_link_inputs)
        wanted = Linked(
            frozenset(library_file(library, project.toolchain) for library in project.libraries), project.manifests
        )
        return link_once(
            session,
            recipe,
            lambda objects: self._build(replace(project, objects=objects), work, out),
            wanted=wanted,
            work=work,
            out=out,
        )

    def _build(self, project: NvccProject, work: Path, out: Path, *, editable: bool = False) -> Path:
        """The wheel of the inner backend, from a generated CMake project or from the user's own."""
        session, toolchain = self._session, project.toolchain
        count = len(project.objects)
        kept = f"; {count} object{'s are' if count > 1 else ' is'} taken from the cache" if count else ""
        doing = f"compiling with nvcc of CUDA {toolchain.cuda.version} and {toolchain.host.identity}"
        session.reporter.step(doing + kept)
        if session.job.own_cmake is not None:
            with self._kernel_trees(toolchain) as trees:
                wheel = inner.build_wheel(
                    session.inside, out, self._own_settings(project, work, trees), editable=editable
                )
        else:
            write_nvcc_project(project, work / "project")
            wheel = inner.build_wheel(
                session.inside, out, self._settings(work / "project", toolchain, work), editable=editable
            )
        session.cache.check_handed_out()
        return wheel

    def cmake_settings(self) -> inner.ConfigSettings:
        """Settings of the project's own CMake, with compilers and headers where they stay."""
        toolchain, root = self._toolchain(), self._session.config.project.root
        with (
            self._session.cache.workspace(f"presets {root}") as work,
            self._kernel_trees(toolchain) as trees,
        ):
            return self._own_settings(self._project(toolchain, work), work, trees)

    @contextmanager
    def prepared(self, work: Path) -> Iterator[inner.ConfigSettings]:
        """What CMake is configured with in `work`, where its project is written."""
        toolchain = self._toolchain()
        project = self._project(toolchain, work)
        # How many of nvcc there is memory for changes from hour to hour, and CMake would configure anew each time.
        pool = kept_pool(work / "pool", project.pool)
        project = replace(project, pool=pool)
        if self._session.job.own_cmake is not None:
            with self._kernel_trees(toolchain) as trees:
                yield self._own_settings(project, work, trees)
        else:
            write_nvcc_project(project, work / "project")
            yield self._settings(work / "project", toolchain, work)

    def _own_settings(self, project: NvccProject, work: Path, trees: Path) -> inner.ConfigSettings:
        folder = self._session.job.own_cmake or project.root
        setup = write_setup(project, self._session.cell.archs, work / "project", trees)
        return inner.own_cmake_settings(self._settings(folder, project.toolchain, work), setup=setup)

    def _settings(self, folder: Path, toolchain: NvccToolchain, work: Path) -> inner.ConfigSettings:
        session = self._session
        settings = inner.host_settings(
            session.config.inner, project=folder, build=work / "build", host=toolchain.host, jobs=session.jobs
        )
        return inner.nvcc_settings(
            settings, cuda=toolchain.cuda, host=toolchain.host, python_tag=session.cell.python_tag
        )

    def _kernel_trees(self, toolchain: NvccToolchain) -> AbstractContextManager[Path]:
        """Where kernels of the user's own CMake project are compiled: kept for each toolkit and host compiler."""
        root = self._session.config.project.root
        name = f"kernels {root} {toolchain.cuda.digest} {toolchain.host.identity}"
        return self._session.cache.workspace(name)

    def _provided(self, toolchain: NvccToolchain) -> frozenset[str]:
        """SONAMEs that packages of Requires-Dist have."""
        return frozenset(found.soname for found in toolchain.cuda.libraries if found.name in self._session.job.linked)

    def _toolchain(self) -> NvccToolchain:
        """Find or fetch every compiler, and say where each came from."""
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
            toolkit, context=context, libraries=self._session.job.linked, includes=includes, machine=host.machine
        )
        headers = session.job.torch_headers
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
        if self._session.job.own_cmake is not None and self._session.cell.torch is TorchAbi.EXACT:
            return frozenset({_WIDEST_TORCH_HEADER})
        return _foreign_includes(self._libraries)

    def _project(self, toolchain: NvccToolchain, work: Path) -> NvccProject:
        session, tables = self._session, self._tables
        cell, config = session.cell, session.config
        exact = cell.torch is TorchAbi.EXACT
        entries = ((each.package, each.import_path, library_entry(each)) for each in self._libraries if each.cubins)
        return NvccProject(
            root=config.project.root,
            libraries=self._libraries,
            toolchain=toolchain,
            package_dirs=find_package_folders({name for lib in self._libraries for name in lib.include_packages}),
            headers=shipped_headers(session.cache),
            torch_floor=cell.torch_floor,
            cxx_standard=session.job.cxx_standard,
            limited_api=cell.python if cell.python_abi is PythonAbi.ABI3 else None,
            # CPU builds of torch have no libtorch_cuda.so: a library that refers to these weakly loads there too.
            weak_symbols=tuple(name for name, shim in tables.shims.items() if shim.library == "libtorch_cuda.so"),
            compression=session.job.nvcc_compression,
            manifests=write_manifests(session.manifests(entries), work / "manifests"),
            jobs=session.jobs,
            pool=nvcc_jobs(session.jobs, _LARGE if exact else _SMALL, available_memory()),
        )


def _foreign_includes(libraries: Sequence[NvccLibrary]) -> frozenset[str]:
    """Names of headers that sources include and that no folder of theirs has."""
    names: set[str] = set()
    for library in libraries:
        scanner = IncludeScanner(library.include_dirs)
        names.update(name for source in library.sources for name in scanner.unresolved(source.path))
    return frozenset(names)
