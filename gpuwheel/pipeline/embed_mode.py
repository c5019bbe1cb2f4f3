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
from gpuwheel.compile.manifest import build_manifest, write_manifest
from gpuwheel.config import host_libraries, kernel_groups
from gpuwheel.lock.check import BuildInputs
from gpuwheel.model.toolchain import Toolchain
from gpuwheel.pipeline.linking import Linked, link_once
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain import find_device_compiler, find_host_compiler, find_torch_sdk
from gpuwheel.toolchain.one_program import as_one_program
from gpuwheel.wheel import toolchain_sbom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.model.kernels import BuiltGroup
    from gpuwheel.model.libraries import HostLibrary
    from gpuwheel.model.pins import Pin
    from gpuwheel.pipeline.session import Session

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
        self._epoch = session.epoch

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
        """The inner backend's wheel, which is gone afterwards."""
        from gpuwheel.audit.built import Expected  # noqa: PLC0415 (gpuwheel dev does without)

        config, toolchain = self._config, self._toolchain()
        with self._session.workspace(keep=editable or keep) as work:
            project = self._project(toolchain, work)
            with self._cache.scratch() as out:
                save: Callable[[], None] = lambda: None  # noqa: E731 (mypy wants its type)
                if config.settings.cmake is not None:
                    wheel = self._build_own(project, toolchain, work, out, editable=editable)
                elif editable or "build-dir" in config.inner:  # what the user keeps, Ninja keeps up to date
                    wheel = self._link(project, toolchain, work, out, editable=editable)
                else:
                    wheel, save = self._link_once(project, toolchain, work, out)
                expected = Expected(
                    torch_floor=self._cell.torch_floor,
                    with_kernels={library.file: library.kernels for library in project.libraries if library.kernels},
                    build_folders=[str(work), str(config.project.root)],
                    platform=toolchain.stubs.platform if toolchain.stubs else None,
                )
                yield Compiled(wheel, expected, self._sbom(toolchain), save)

    def cmake_settings(self) -> inner.ConfigSettings:
        """Settings of the project's own CMake; the images they name are those of the kernels as they are now."""
        toolchain = self._toolchain()
        with self._cache.workspace(f"presets {self._config.project.root}") as work:
            return self._own_settings(self._project(toolchain, work), toolchain, work)

    @contextmanager
    def prepared(self, work: Path) -> Iterator[inner.ConfigSettings]:
        """What CMake is configured with in `work`, where its project is written and the kernels are compiled."""
        toolchain = self._toolchain()
        project = self._project(toolchain, work)
        if self._config.settings.cmake is not None:
            yield self._own_settings(project, toolchain, work)
        else:
            write_project(project, work / "project")
            yield self._settings(toolchain, work)

    def _project(self, toolchain: Toolchain, work: Path) -> HostProject:
        """What CMake is to make, with the kernels compiled."""
        groups = self._compile_kernels(toolchain, work / "kernels")
        libraries = host_libraries(self._config)
        return HostProject(
            root=self._config.project.root,
            libraries=libraries,
            groups=groups,
            headers=shipped_headers(self._cache),
            sdk=toolchain.torch,
            stubs=toolchain.stubs,
            torch_floor=self._cell.torch_floor,
            manifests=self._write_manifests(groups, libraries, work / "manifests"),
        )

    def _build_own(self, project: HostProject, toolchain: Toolchain, work: Path, out: Path, *, editable: bool) -> Path:
        """The wheel of the inner backend, from the user's own CMake project."""
        self._reporter.step(f"compiling host code with {toolchain.host.identity}")
        wheel = inner.build_wheel(
            self._session.inside, out, self._own_settings(project, toolchain, work), editable=editable
        )
        self._cache.check_handed_out()
        return wheel

    def _own_settings(self, project: HostProject, toolchain: Toolchain, work: Path) -> inner.ConfigSettings:
        folder = (self._config.project.root / str(self._config.settings.cmake)).parent
        settings = inner.host_settings(
            self._config.inner, project=folder, build=work / "build", host=toolchain.host, jobs=self._jobs
        )
        return inner.own_cmake_settings(settings, setup=write_embed_setup(project, work / "project"))

    def _link(
        self, project: HostProject, toolchain: Toolchain, work: Path, out: Path, *, editable: bool = False
    ) -> Path:
        """The inner backend's wheel, with what CMake compiled and linked in `work`."""
        host = toolchain.host
        count, every = len(project.objects), sum(len(library.sources) for library in project.libraries)
        doing = "linking host code, which did not change," if count == every else "compiling host code"
        kept = f"; {count} object{'s are' if count > 1 else ' is'} taken from the cache" if 0 < count < every else ""
        self._reporter.step(f"{doing} with {host.identity}{kept}")
        write_project(project, work / "project")
        settings = self._settings(toolchain, work)
        wheel = inner.build_wheel(self._session.inside, out, settings, editable=editable)
        self._cache.check_handed_out()
        return wheel

    def _settings(self, toolchain: Toolchain, work: Path) -> inner.ConfigSettings:
        """Those of the generated project."""
        return inner.host_settings(
            self._config.inner, project=work / "project", build=work / "build", host=toolchain.host, jobs=self._jobs
        )

    def _link_once(
        self, project: HostProject, toolchain: Toolchain, work: Path, out: Path
    ) -> tuple[Path, Callable[[], None]]:
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
        return toolkit_includes(kernel_groups(self._config, self._cell))

    def _toolchain(self, search_path: Sequence[str] | None = None) -> Toolchain:
        """Find or fetch every compiler, and say where each came from."""
        self._reporter.step("finding the toolchain")
        tables = load_tables()
        context = self._session.context
        host = as_one_program(find_host_compiler(self._environ), self._cache)
        toolkit, includes = tables.cuda[self._cell.cuda], self._toolkit_includes()
        device = find_device_compiler(toolkit, context=context, includes=includes, search_path=search_path)
        torch = find_torch_sdk(tables.torch_sdk, context=context, machine=host.machine)
        self._reporter.info(f"device  NVRTC of CUDA {device.cuda} ({device.found_via})")
        self._reporter.info(
            f"torch   headers of {torch.version} for torch {self._cell.torch_floor} ({torch.found_via})"
        )
        self._reporter.info(f"host    {host.identity} ({host.found_via})")
        return Toolchain(device, torch, host, self._session.link_stubs(host))

    def _sbom(self, toolchain: Toolchain) -> bytes:
        toolkit = load_tables().cuda[self._cell.cuda]
        pins = (*toolkit.components, *toolkit.headers)
        return toolchain_sbom(toolchain, self._config.project.name, self._epoch, pins)

    def _compile_kernels(self, toolchain: Toolchain, out: Path) -> dict[str, BuiltGroup]:
        built = {}
        for group in kernel_groups(self._config, self._cell):
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

    def _write_manifests(
        self, groups: Mapping[str, BuiltGroup], libraries: Sequence[HostLibrary], out: Path
    ) -> dict[str, Path]:
        """`_kernels.json` for each package that has a library with kernels."""
        by_package: dict[str, set[str]] = {}
        for library in libraries:
            by_package.setdefault(library.package, set()).update(library.kernels)
        manifests = {}
        for index, (package, names) in enumerate(sorted(by_package.items())):
            if not names:
                continue
            manifest = build_manifest(
                [groups[name] for name in sorted(names)],
                toolkit=self._cell.cuda,
                driver_floor=self._cell.driver_floor,
            )
            manifests[package] = write_manifest(manifest, out / str(index) / "_kernels.json")
        return manifests
