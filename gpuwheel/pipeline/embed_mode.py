"""Mode `embed`: kernels by NVRTC, host code by the C++ compiler."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.cmake.embed_project import HostProject, shipped_headers, write_project
from gpuwheel.compile.cmake.keys import host_recipe
from gpuwheel.compile.cmake.own_cmake import write_embed_setup
from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.compile.manifest import group_entry, write_manifests
from gpuwheel.lock.check import BuildInputs
from gpuwheel.model.promises import Claims
from gpuwheel.model.toolchain import Toolchain
from gpuwheel.pipeline.host_code import HostCodeBuild
from gpuwheel.toolchain import find_device_compiler, find_host_compiler
from gpuwheel.toolchain.one_program import as_one_program

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compile.cmake.keys import Given
    from gpuwheel.compile.reuse.linked import Recipe
    from gpuwheel.model.kernels import BuiltGroup, KernelGroup
    from gpuwheel.model.pins import Pin

__all__ = ["EmbedBuild"]


class EmbedBuild(HostCodeBuild["Toolchain", "HostProject"]):
    """Builds one cell."""

    @property
    def _groups(self) -> tuple[KernelGroup, ...]:
        return self._job.groups[self._job.cell.cuda]

    def requires(self) -> tuple[Pin, ...]:
        """The pins of NVRTC and of the CUDA headers."""
        return load_tables().cuda[self._job.cell.cuda].components

    def inputs(self) -> BuildInputs:
        """NVRTC with its headers, those of torch, and the C++ compiler."""
        tables = load_tables()
        toolkit = tables.cuda[self._job.cell.cuda]
        includes = self._toolkit_includes()
        headers = (tables.torch_sdk, *(pin for pin in toolkit.headers if pin.is_needed_for(includes)))
        host = as_one_program(find_host_compiler(self._session.environ), self._session.cache)
        return BuildInputs(toolkit.components, headers, host, self._session.link_digests(host))

    def _project(self, toolchain: Toolchain, work: Path) -> HostProject:
        """What CMake is to make, with the kernels compiled."""
        groups = self._compile_kernels(toolchain, work / "kernels")
        libraries = self._job.libraries
        entries = ((each.package, name, group_entry(groups[name])) for each in libraries for name in each.kernels)
        return HostProject(
            root=self._job.root,
            libraries=libraries,
            groups=groups,
            headers=shipped_headers(self._session.cache),
            sdk=toolchain.torch,
            stubs=toolchain.stubs,
            torch_floor=self._job.cell.torch_floor,
            manifests=write_manifests(self._session.manifests(entries), work / "manifests"),
        )

    @contextmanager
    def _configured(self, project: HostProject, toolchain: Toolchain, work: Path) -> Iterator[inner.ConfigSettings]:
        session, own = self._session, self._job.own_cmake
        settings = inner.host_settings(
            session.config.inner,
            project=own or work / "project",
            build=work / "build",
            host=toolchain.host,
            jobs=session.compilers,
        )
        if own is not None:
            yield inner.own_cmake_settings(settings, setup=write_embed_setup(project, work / "project"))
        else:
            write_project(project, work / "project")
            yield settings

    def _recipe(self, project: HostProject, given: Given) -> Recipe:
        return host_recipe(project, given)

    def _files(self, toolchain: Toolchain) -> Mapping[str, Collection[str] | None]:
        del toolchain
        return {library.file: library.kernels or None for library in self._job.libraries}

    def _claims(self, toolchain: Toolchain) -> Claims:
        del toolchain
        return Claims(self._job.cell.torch_floor)

    def _doing(self, project: HostProject, toolchain: Toolchain) -> str:
        count, every = len(project.objects), sum(len(library.sources) for library in project.libraries)
        doing = "linking host code, which did not change," if 0 < count == every else "compiling host code"
        kept = f"; {count} object{'s are' if count > 1 else ' is'} taken from the cache" if 0 < count < every else ""
        return f"{doing} with {toolchain.host.identity}{kept}"

    def _toolkit_includes(self) -> frozenset[str]:
        return toolkit_includes(self._groups)

    def _toolchain(self, search_path: Sequence[str] | None = None) -> Toolchain:
        """Find or fetch every compiler, and say where each came from."""
        self._session.reporter.step("finding the toolchain")
        tables, session = load_tables(), self._session
        host = as_one_program(find_host_compiler(self._session.environ), self._session.cache)
        toolkit, includes = tables.cuda[self._job.cell.cuda], self._toolkit_includes()
        device = find_device_compiler(toolkit, context=session.context, includes=includes, search_path=search_path)
        torch = session.torch_sdk(tables.torch_sdk, host)
        stubs = session.found(f"device  NVRTC of CUDA {device.cuda} ({device.found_via})", torch, host)
        return Toolchain(device, torch, host, stubs)

    def _compile_kernels(self, toolchain: Toolchain, out: Path) -> dict[str, BuiltGroup]:
        built = {}
        for group in self._groups:
            targets = " ".join([*(a.sm for a in group.cubin_archs), *(a.compute for a in group.ptx_archs)])
            self._session.reporter.step(f"compiling kernels {group.name!r} for {targets}")
            built[group.name] = self._session.judged(
                compile_group(
                    group,
                    toolchain.device,
                    cache=self._session.cache,
                    out=out,
                    reporter=self._session.reporter,
                    jobs=self._session.compilers,
                )
            )
        return built
