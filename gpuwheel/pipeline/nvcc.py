"""Mode `nvcc`: CUDA and C++ sources by nvcc and the C++ compiler."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel.audit.built import Expected
from gpuwheel.compatibility import load_tables, nvcc_compression
from gpuwheel.compile import inner
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.manifest import write_manifest
from gpuwheel.compile.memory import available_memory, nvcc_jobs
from gpuwheel.compile.nvcc import NvccProject, library_file, nvcc_manifest, write_nvcc_project
from gpuwheel.config import nvcc_libraries
from gpuwheel.model.toolchain import NvccToolchain
from gpuwheel.model.versions import MinorVersion
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain.cuda_host import find_nvcc_host_compiler
from gpuwheel.toolchain.cuda_toolkit import find_cuda_toolkit
from gpuwheel.toolchain.packages import find_package_folders
from gpuwheel.toolchain.python_headers import find_python_headers
from gpuwheel.toolchain.torch_sdk import find_torch_sdk
from gpuwheel.wheel import toolchain_sbom

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.libraries import NvccLibrary
    from gpuwheel.model.toolchain import TorchSdk
    from gpuwheel.pipeline.session import Session

__all__ = ["NvccBuild"]

_SMALL, _LARGE = 1 << 30, 3 << 30
"""Bytes that nvcc takes at its peak for a source of CUDA alone, and for one with torch's C++ headers."""


class NvccBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: Tables = load_tables()
        self._libraries = nvcc_libraries(session.config, session.cell)

    def requires(self) -> tuple[str, ...]:
        """Nothing: nvcc is kept unpacked in the cache, where its path stays the same from build to build."""
        return ()

    @contextmanager
    def compiled(self, *, editable: bool) -> Iterator[Compiled]:
        """The inner backend's wheel, which is gone afterwards."""
        session, cell, config = self._session, self._session.cell, self._session.config
        toolchain = self._toolchain()
        with session.workspace(keep=editable) as work, session.cache.scratch() as out:
            write_nvcc_project(self._project(toolchain, work), work / "project")
            session.reporter.step(f"compiling with nvcc of CUDA {toolchain.cuda.version} and {toolchain.host.identity}")
            settings = inner.host_settings(
                config.inner, project=work / "project", build=work / "build", host=toolchain.host, jobs=session.jobs
            )
            settings = inner.nvcc_settings(settings, cuda=toolchain.cuda, python_tag=cell.python_tag)
            wheel = inner.build_wheel(out, settings, editable=editable)
            expected = Expected(
                torch_floor=cell.torch_floor,
                with_kernels={library_file(library, toolchain) for library in self._libraries if library.cubins},
                build_folders=[str(work), str(config.project.root)],
                platform=config.settings.wheel.platform,
            )
            yield Compiled(wheel, expected, self._sbom(toolchain))

    def _toolchain(self) -> NvccToolchain:
        """Find or fetch every compiler, and say where each came from."""
        session, tables = self._session, self._tables
        session.reporter.step("finding the toolchain")
        context, toolkit = session.context, tables.cuda[session.cell.cuda]
        host = find_nvcc_host_compiler(session.environ, toolkit, tables.cuda)
        names = {name for library in self._libraries for name in library.libraries}
        cuda = find_cuda_toolkit(toolkit, context=context, libraries=names, includes=_foreign_includes(self._libraries))
        torch = self._torch_sdk()
        needs_python = any(library.python != "none" or library.torch == "exact" for library in self._libraries)
        python = find_python_headers() if needs_python else None
        session.reporter.info(f"nvcc    CUDA {cuda.version} ({cuda.found_via})")
        if torch is not None:
            session.reporter.info(f"torch   headers of {torch.version} ({torch.found_via})")
        session.reporter.info(f"host    {host.identity} ({host.found_via})")
        return NvccToolchain(cuda, host, torch, python)

    def _torch_sdk(self) -> TorchSdk | None:
        session, tables = self._session, self._tables
        match session.cell.torch:
            case "exact":
                headers = tables.torch[session.cell.torch_floor].headers
                return None if headers is None else find_torch_sdk(headers, context=session.context, classic=True)
            case "stable":
                return find_torch_sdk(tables.torch_sdk, context=session.context)
            case _:
                return None

    def _project(self, toolchain: NvccToolchain, work: Path) -> NvccProject:
        session, tables = self._session, self._tables
        cell, config = session.cell, session.config
        exact = cell.torch == "exact"
        python, _, abi = cell.python_tag.partition("-")
        return NvccProject(
            root=config.project.root,
            libraries=self._libraries,
            toolchain=toolchain,
            package_dirs=find_package_folders({name for lib in self._libraries for name in lib.include_packages}),
            headers=resource("include"),
            torch_floor=cell.torch_floor,
            cxx_standard=tables.torch[cell.torch_floor].cxx_standard if exact else 0,
            limited_api=MinorVersion(int(python[2]), int(python[3:])) if abi == "abi3" else None,
            weak_symbols=tuple(name for name, shim in tables.shims.items() if shim.library == "libtorch_cuda.so"),
            compression=nvcc_compression(tables, cell.driver_floor, cell.cuda),
            manifests=self._write_manifests(work / "manifests"),
            jobs=session.jobs,
            pool=nvcc_jobs(session.jobs, _LARGE if exact else _SMALL, available_memory()),
        )

    def _write_manifests(self, out: Path) -> dict[str, Path]:
        """`_kernels.json` for each package that has a library with kernels."""
        cell = self._session.cell
        by_package: dict[str, list[NvccLibrary]] = {}
        for library in self._libraries:
            if library.cubins:
                by_package.setdefault(library.package, []).append(library)
        manifests = {}
        for index, (package, libraries) in enumerate(sorted(by_package.items())):
            manifest = nvcc_manifest(libraries, toolkit=cell.cuda, driver_floor=cell.driver_floor)
            manifests[package] = write_manifest(manifest, out / str(index) / "_kernels.json")
        return manifests

    def _sbom(self, toolchain: NvccToolchain) -> bytes:
        toolkit = self._tables.cuda[self._session.cell.cuda]
        pins = (*toolkit.nvcc, *toolkit.libraries)
        return toolchain_sbom(toolchain, self._session.config.project.name, self._session.epoch, pins)


def _foreign_includes(libraries: Sequence[NvccLibrary]) -> frozenset[str]:
    """Names of headers that sources include and that no folder of theirs has."""
    names: set[str] = set()
    for library in libraries:
        scanner = IncludeScanner(library.include_dirs)
        names.update(name for source in library.sources for name in scanner.unresolved(source.path))
    return frozenset(names)
