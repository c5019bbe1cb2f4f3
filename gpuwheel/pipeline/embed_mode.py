"""Mode `embed`: kernels by NVRTC, host code by the C++ compiler."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.cmake.embed_project import HostProject, shipped_headers, write_project
from gpuwheel.compile.cmake.keys import Given, host_recipe
from gpuwheel.compile.cmake.own_cmake import write_embed_setup
from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.compile.manifest import group_entry, write_manifests
from gpuwheel.lock.check import BuildInputs
from gpuwheel.model.promises import Claims, Expected
from gpuwheel.model.toolchain import Toolchain
from gpuwheel.pipeline.linking import Linked, link_once
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain import find_device_compiler, find_host_compiler
from gpuwheel.toolchain.one_program import as_one_program
from gpuwheel.wheel import read_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gpuwheel.model.kernels import BuiltGroup
    from gpuwheel.model.pins import Pin
    from gpuwheel.pipeline.session import Session
    from gpuwheel.wheel import Wheel

__all__ = ["EmbedBuild"]


class EmbedBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cell = session.cell
        self._config = session.config
        self._reporter = session.reporter
        self._cache = session.cache
        self._environ = session.environ
        self._jobs = session.jobs
        self._groups = session.job.groups[session.cell.cuda]

    def requires(self) -> tuple[Pin, ...]:
        """The pins of NVRTC and of the CUDA headers."""
        return load_tables().cuda[self._cell.cuda].components

    def inputs(self) -> BuildInputs:
        """NVRTC with its headers, those of torch, and the C++ compiler."""
        tables = load_tables()
        toolkit = tables.cuda[self._cell.cuda]
        includes = self._toolkit_includes()
        headers = (tables.torch_sdk, *(pin for pin in toolkit.headers if pin.is_needed_for(includes)))
        host = as_one_program(find_host_compiler(self._environ), self._cache)
        return BuildInputs(toolkit.components, headers, host, self._session.link_digests(host))

    def fetch(self) -> None:
        """The device compiler goes into the cache even where this environment has it."""
        self._toolchain(search_path=())

    @contextmanager
    def compiled(self, *, editable: bool, keep: bool = False) -> Iterator[Compiled]:
        """The inner backend's wheel."""
        config, toolchain = self._config, self._toolchain()
        with self._session.workspace(keep=editable or keep) as work:
            project = self._project(toolchain, work)
            with self._cache.scratch() as out:
                # The user's own CMake may read anything: no key of ours covers what it makes.
                save: Callable[[], None] = lambda: None  # noqa: E731 (mypy wants its type)
                # What the user keeps, Ninja keeps up to date.
                if self._session.job.own_cmake is not None or editable or "build-dir" in config.inner:
                    wheel = read_wheel(self._link(project, toolchain, work, out, editable=editable))
                else:
                    wheel, save = self._link_once(project, toolchain, work, out)
                expected = Expected(
                    Claims(self._cell.torch_floor),
                    with_kernels={library.file: library.kernels for library in project.libraries if library.kernels},
                    build_folders=[str(work), str(config.project.root)],
                    platform=toolchain.stubs.platform if toolchain.stubs else None,
                )
                yield Compiled(wheel, expected, toolchain, save)

    def cmake_settings(self) -> inner.ConfigSettings:
        """Settings of the project's own CMake; the images they name are those of the kernels as they are now."""
        toolchain = self._toolchain()
        with self._cache.workspace(f"presets {self._config.project.root}") as work:
            return self._configured(self._project(toolchain, work), toolchain, work)

    @contextmanager
    def prepared(self, work: Path) -> Iterator[inner.ConfigSettings]:
        """What CMake is configured with in `work`, where its project is written and the kernels are compiled."""
        toolchain = self._toolchain()
        yield self._configured(self._project(toolchain, work), toolchain, work)

    def _project(self, toolchain: Toolchain, work: Path) -> HostProject:
        """What CMake is to make, with the kernels compiled."""
        groups = self._compile_kernels(toolchain, work / "kernels")
        libraries = self._session.job.libraries
        entries = ((each.package, name, group_entry(groups[name])) for each in libraries for name in each.kernels)
        return HostProject(
            root=self._config.project.root,
            libraries=libraries,
            groups=groups,
            headers=shipped_headers(self._cache),
            sdk=toolchain.torch,
            stubs=toolchain.stubs,
            torch_floor=self._cell.torch_floor,
            manifests=write_manifests(self._session.manifests(entries), work / "manifests"),
        )

    def _configured(self, project: HostProject, toolchain: Toolchain, work: Path) -> inner.ConfigSettings:
        """Settings of the CMake project, the user's own or the one that is written here."""
        folder = self._session.job.own_cmake or work / "project"
        settings = inner.host_settings(
            self._config.inner, project=folder, build=work / "build", host=toolchain.host, jobs=self._jobs
        )
        if self._session.job.own_cmake is not None:
            return inner.own_cmake_settings(settings, setup=write_embed_setup(project, work / "project"))
        write_project(project, folder)
        return settings

    def _link(
        self, project: HostProject, toolchain: Toolchain, work: Path, out: Path, *, editable: bool = False
    ) -> Path:
        """The inner backend's wheel, with what CMake compiled and linked in `work`."""
        host = toolchain.host
        count, every = len(project.objects), sum(len(library.sources) for library in project.libraries)
        doing = "linking host code, which did not change," if 0 < count == every else "compiling host code"
        kept = f"; {count} object{'s are' if count > 1 else ' is'} taken from the cache" if 0 < count < every else ""
        self._reporter.step(f"{doing} with {host.identity}{kept}")
        settings = self._configured(project, toolchain, work)
        wheel = inner.build_wheel(self._session.inside, out, settings, editable=editable)
        # CMake and Ninja ran for minutes with paths into the cache: an entry that changed meanwhile is in the result.
        self._cache.check_handed_out()
        return wheel

    def _link_once(
        self, project: HostProject, toolchain: Toolchain, work: Path, out: Path
    ) -> tuple[Wheel, Callable[[], None]]:
        """The same wheel, with libraries or objects from the cache if the same ones were made before."""
        settings = {**self._config.inner_table, **self._config.inner}
        recipe = host_recipe(project, Given(self._cache, toolchain.host, settings, self._session.tools))
        project = replace(project, names_link_inputs=recipe.names_link_inputs)
        wanted = Linked(frozenset(library.file for library in project.libraries), project.manifests)
        return link_once(
            self._session,
            recipe,
            lambda objects: self._link(replace(project, objects=objects), toolchain, work, out),
            wanted=wanted,
            work=work,
            out=out,
        )

    def _toolkit_includes(self) -> frozenset[str]:
        return toolkit_includes(self._groups)

    def _toolchain(self, search_path: Sequence[str] | None = None) -> Toolchain:
        """Find or fetch every compiler, and say where each came from."""
        self._reporter.step("finding the toolchain")
        tables, session = load_tables(), self._session
        host = as_one_program(find_host_compiler(self._environ), self._cache)
        toolkit, includes = tables.cuda[self._cell.cuda], self._toolkit_includes()
        device = find_device_compiler(toolkit, context=session.context, includes=includes, search_path=search_path)
        torch = session.torch_sdk(tables.torch_sdk, host)
        stubs = session.found(f"device  NVRTC of CUDA {device.cuda} ({device.found_via})", torch, host)
        return Toolchain(device, torch, host, stubs)

    def _compile_kernels(self, toolchain: Toolchain, out: Path) -> dict[str, BuiltGroup]:
        built = {}
        for group in self._groups:
            targets = " ".join([*(a.sm for a in group.cubin_archs), *(a.compute for a in group.ptx_archs)])
            self._reporter.step(f"compiling kernels {group.name!r} for {targets}")
            built[group.name] = self._session.judged(
                compile_group(
                    group,
                    toolchain.device,
                    cache=self._cache,
                    out=out,
                    reporter=self._reporter,
                    jobs=self._jobs,
                )
            )
        return built
