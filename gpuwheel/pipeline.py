"""The verbs and their order. Each stage is called here and nowhere else; no rule of any stage lives here."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel.audit import audit_wheel
from gpuwheel.audit.built import Expected, check_built, refuse
from gpuwheel.compatibility import load_tables
from gpuwheel.compile import inner
from gpuwheel.compile.device import check_budget, compile_group, summary
from gpuwheel.compile.host import HostProject, write_project
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.compile.libraries import LinkedFile, load_libraries, project_key, save_libraries
from gpuwheel.compile.manifest import build_manifest, write_manifest
from gpuwheel.config import host_libraries, kernel_groups, load_config, requirements
from gpuwheel.model.findings import Severity
from gpuwheel.model.toolchain import Toolchain
from gpuwheel.plan import choose, plan
from gpuwheel.toolchain import (
    Context,
    check_platform,
    find_device_compiler,
    find_host_compiler,
    find_torch_sdk,
    probe_platform,
)
from gpuwheel.wheel import (
    SBOM_FILE,
    Member,
    WheelEdits,
    add_requirements,
    append_members,
    read_members,
    rewrite_sdist,
    rewrite_wheel,
    toolchain_sbom,
)
from gpuwheel.wheel.atomic import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Cell, Decision
    from gpuwheel.model.findings import Finding
    from gpuwheel.model.kernels import BuiltGroup
    from gpuwheel.model.libraries import HostLibrary
    from gpuwheel.model.reporter import Reporter

__all__ = ["Build"]


@dataclass(frozen=True)
class _Compiled:
    wheel: Path
    """As the inner backend made it, with the platform's plain tag."""
    expected: Expected
    toolchain: Toolchain


def _place(made: Path, out: Path) -> int:
    """Copy a finished file to where the frontend wants it, whole or not at all; its size in bytes."""
    data = made.read_bytes()
    with atomic_file(out / made.name) as file:
        file.write(data)
    return len(data)


class Build:
    """One project, as one call of a frontend sees it."""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        config_settings: Mapping[str, str | list[str]],
        reporter: Reporter,
    ) -> None:
        self._root = root
        self._environ = environ
        self._config_settings = config_settings
        self._reporter = reporter

    @cached_property
    def config(self) -> LoadedConfig:
        """What the project asks for."""
        config = load_config(self._root, environ=self._environ, config_settings=self._config_settings)
        for warning in config.warnings:
            self._reporter.warn(warning)
        return config

    @cached_property
    def cell(self) -> Cell:
        """The one wheel that this call builds.

        Raises:
            PlanError: none can be built; every candidate is named with its reason.
        """
        return choose(self.plan(), self._reporter)

    def plan(self) -> tuple[Decision, ...]:
        """Every candidate cell with its verdict; nothing is built."""
        return plan(self.config, load_tables())

    def requires(self, *, editable: bool) -> list[str]:
        """What a build environment needs beside gpuwheel: CMake, Ninja, and exact pins of the device compiler."""
        self._check_platform()
        pins = load_tables().cuda[self.cell.cuda].components
        return [*inner.requires(self.config.inner, editable=editable), *(pin.requirement for pin in pins)]

    def prepare(self, out: Path, *, editable: bool) -> str:
        """Write `.dist-info` and return its name."""
        info = inner.prepare(out, self.config.inner, editable=editable)
        metadata = info / "METADATA"
        metadata.write_bytes(add_requirements(metadata.read_bytes(), self._requirements))
        return info.name

    def sdist(self, out: Path) -> str:
        """Collect an sdist whose PKG-INFO says what the wheel will say, and return its name."""
        with self._cache.scratch() as scratch:
            made = inner.build_sdist(scratch, self.config.inner)
            rewrite_sdist(made, lambda text: add_requirements(text, self._requirements), epoch=self._epoch)
            _place(made, out)
            return made.name

    def wheel(self, out: Path) -> str:
        """Compile, check and pack the wheel; return its name."""
        with self._compiled(editable=False) as compiled:
            self._reporter.step("checking what was linked")
            report = check_built(compiled.wheel, compiled.expected, load_tables())
            self._judge(report.findings)
            edits = WheelEdits(
                platform=report.tag,
                requirements=self._requirements,
                files={SBOM_FILE: self._sbom(compiled.toolchain)},
                generator=f"gpuwheel {__version__}",
                epoch=self._epoch,
            )
            with self._cache.scratch() as scratch:
                wheel = rewrite_wheel(compiled.wheel, scratch, edits)
                self._judge(audit_wheel(wheel.path, load_tables(), max_size=self.config.settings.wheel.max_size))
                size = _place(wheel.path, out)
        self._reporter.step(f"{wheel.path.name}  {size / 1000:.0f} kB  sha256 {wheel.sha256}")
        return wheel.path.name

    def editable(self, out: Path) -> str:
        """Compile and pack an editable wheel; return its name."""
        with self._compiled(editable=True) as compiled:
            edits = WheelEdits(requirements=self._requirements, epoch=self._epoch)
            return rewrite_wheel(compiled.wheel, out, edits).path.name

    def _judge(self, findings: Sequence[Finding]) -> None:
        """Refuse errors, tell the rest."""
        refuse(findings)
        for finding in findings:
            say = self._reporter.info if finding.severity is Severity.NOTE else self._reporter.warn
            say(f"{finding.subject} {finding.problem}")

    @property
    def _cache(self) -> Cache:
        return Cache.from_environment(self._environ)

    @property
    def _requirements(self) -> tuple[str, ...]:
        return requirements(self.config)

    @property
    def _epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), if it is set."""
        text = self._environ.get("SOURCE_DATE_EPOCH", "")
        return int(text) if text.isdigit() else None

    @property
    def _jobs(self) -> int:
        """MAX_JOBS, as torch's own builds read it, else the cores this process may use."""
        text = self._environ.get("MAX_JOBS", "")
        return int(text) if text.isdigit() and int(text) > 0 else len(os.sched_getaffinity(0))

    @contextmanager
    def _compiled(self, *, editable: bool) -> Iterator[_Compiled]:
        """The inner backend's wheel, which is gone afterwards."""
        self._check_platform()
        cell, config = self.cell, self.config
        toolchain = self._toolchain()
        libraries = host_libraries(config)
        with self._workspace(editable=editable) as work:
            groups = self._compile_kernels(toolchain, work / "kernels")
            project = HostProject(
                root=config.project.root,
                libraries=libraries,
                groups=groups,
                sdk=toolchain.torch,
                torch_floor=cell.torch_floor,
                manifests=self._write_manifests(groups, libraries, work / "manifests"),
            )
            with self._cache.scratch() as out:
                if editable or "build-dir" in config.inner:  # what the user keeps, Ninja keeps up to date
                    wheel = self._link(project, toolchain, work, out, editable=editable)
                else:
                    wheel = self._link_once(project, toolchain, work, out)
                expected = Expected(
                    torch_floor=cell.torch_floor,
                    with_kernels={library.file for library in libraries if library.kernels},
                    build_folders=[str(work), str(config.project.root)],
                    platform=config.settings.wheel.platform,
                )
                yield _Compiled(wheel, expected, toolchain)

    def _link(
        self, project: HostProject, toolchain: Toolchain, work: Path, out: Path, *, editable: bool = False
    ) -> Path:
        """The inner backend's wheel, with what CMake compiled and linked in `work`."""
        host = toolchain.host
        self._reporter.step(f"compiling host code with {host.identity}")
        write_project(project, work / "project")
        settings = inner.host_settings(
            self.config.inner, project=work / "project", build=work / "build", host=host, jobs=self._jobs
        )
        return inner.build_wheel(out, settings, editable=editable)

    def _link_once(self, project: HostProject, toolchain: Toolchain, work: Path, out: Path) -> Path:
        """The same wheel, with libraries from the cache if the same ones were linked before."""
        user = {**self.config.inner_table, **self.config.inner}
        key = project_key(project, toolchain.host, user, self._environ)
        found = load_libraries(self._cache, key) if key is not None else None
        if found is not None:
            self._reporter.step("host code did not change: linked libraries are taken from the cache")
            wheel = inner.build_wheel(out, inner.plain_settings(self.config.inner), editable=False)
            manifests = [
                Member(f"{package}/{manifest.name}", manifest.read_bytes())
                for package, manifest in project.manifests.items()
            ]
            append_members(wheel, [*(Member(file.name, file.data, file.executable) for file in found), *manifests])
            return wheel
        wheel = self._link(project, toolchain, work, out)
        names = {library.file for library in project.libraries}
        members = read_members(wheel) if key is not None else {}
        if key is not None and names <= members.keys():  # the user's own settings may leave files out
            linked = [LinkedFile(name, members[name].data, members[name].executable) for name in sorted(names)]
            save_libraries(self._cache, key, linked, build=work / "build", project=project)
        return wheel

    @staticmethod
    def _check_platform() -> None:
        machines = {policy.machine for policy in load_tables().platforms}
        check_platform(probe_platform(), machines)

    def _toolchain(self) -> Toolchain:
        """Find or fetch every compiler, and say where each came from."""
        self._reporter.step("finding the toolchain")
        tables = load_tables()
        context = Context(self._cache, self._environ, self._reporter)
        host = find_host_compiler(self._environ)
        includes = toolkit_includes(kernel_groups(self.config, self.cell))
        device = find_device_compiler(tables.cuda[self.cell.cuda], context=context, includes=includes)
        torch = find_torch_sdk(tables.torch_sdk, context=context)
        self._reporter.info(f"device  NVRTC of CUDA {device.cuda} ({device.found_via})")
        self._reporter.info(f"torch   headers of {torch.version} for torch {self.cell.torch_floor} ({torch.found_via})")
        self._reporter.info(f"host    {host.identity} ({host.found_via})")
        return Toolchain(device, torch, host)

    def _sbom(self, toolchain: Toolchain) -> bytes:
        toolkit = load_tables().cuda[self.cell.cuda]
        pins = (*toolkit.components, *toolkit.headers)
        return toolchain_sbom(toolchain, self.config.project.name, self._epoch, pins)

    @contextmanager
    def _workspace(self, *, editable: bool) -> Iterator[Path]:
        """Where to compile: kept for an editable install, so that the next one compiles only what changed."""
        if editable or "build-dir" in self.config.inner:
            with self._cache.workspace(str(self.config.project.root)) as kept:
                yield kept
        else:
            with self._cache.scratch() as scratch:
                yield scratch

    def _compile_kernels(self, toolchain: Toolchain, out: Path) -> dict[str, BuiltGroup]:
        built = {}
        for group in kernel_groups(self.config, self.cell):
            targets = " ".join([*(a.sm for a in group.cubin_archs), *(a.compute for a in group.ptx_archs)])
            self._reporter.step(f"compiling kernels {group.name!r} for {targets}")
            built[group.name] = compile_group(
                group, toolchain.device, cache=self._cache, out=out, reporter=self._reporter, jobs=self._jobs
            )
            for line in summary(built[group.name]):
                self._reporter.info(line)
            budget = self.config.settings.kernels[group.name].budget
            if budget is not None:
                check_budget(built[group.name], budget)
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
                [groups[name] for name in sorted(names)], toolkit=self.cell.cuda, driver_floor=self.cell.driver_floor
            )
            manifests[package] = write_manifest(manifest, out / str(index) / "_kernels.json")
        return manifests
