"""Mode `kernels`: kernels by NVRTC, and launchers in Python instead of host code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel.audit.built import Expected
from gpuwheel.compatibility import load_tables
from gpuwheel.compile import inner
from gpuwheel.compile.device import check_budget, compile_group, summary
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.compile.kernels_mode import launcher_files, write_install_project
from gpuwheel.compile.manifest import build_manifest, manifest_bytes
from gpuwheel.config import kernel_groups
from gpuwheel.model.toolchain import KernelsToolchain
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain import find_device_compiler
from gpuwheel.toolchain.lock_check import BuildInputs, pin_digests
from gpuwheel.wheel import Member, append_members, toolchain_sbom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.config.model import Extension
    from gpuwheel.model.kernels import BuiltGroup, KernelGroup
    from gpuwheel.model.toolchain import DeviceCompiler
    from gpuwheel.model.versions import MinorVersion
    from gpuwheel.pipeline.session import Session

__all__ = ["KernelsBuild"]

_MANIFEST = "_kernels.json"


class KernelsBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def requires(self) -> tuple[str, ...]:
        """The pins of the cell's NVRTC and CUDA headers; those of further toolkits do not fit beside them."""
        return tuple(pin.requirement for pin in load_tables().cuda[self._session.cell.cuda].components)

    def inputs(self) -> BuildInputs:
        """NVRTC of each toolkit with its headers."""
        own, *further = (load_tables().cuda[version] for version in self._toolkits)
        includes = self._includes
        headers = tuple(pin for kit in (own, *further) for pin in kit.headers if pin.is_needed_for(includes))
        return BuildInputs(own.components, headers, None, pin_digests(pin for kit in further for pin in kit.components))

    def fetch(self) -> None:
        """The device compiler goes into the cache even where this environment has it."""
        self._toolchain(search_path=())

    @contextmanager
    def compiled(self, *, editable: bool) -> Iterator[Compiled]:
        """The inner backend's wheel, which is gone afterwards."""
        session, config = self._session, self._session.config
        toolchain = self._toolchain()
        with session.workspace(keep=editable) as work, session.cache.scratch() as out:
            files = self._files(self._compile(toolchain, work / "kernels"))
            if editable:  # CMake only installs: the finder of an editable install knows what it installed
                write_install_project(files, work / "project")
                settings = inner.install_settings(config.inner, project=work / "project", build=work / "build")
                wheel = inner.build_wheel(out, settings, editable=True)
            else:
                wheel = inner.build_wheel(out, inner.pure_settings(config.inner), editable=False)
                append_members(wheel, [Member(name, data) for name, data in files.items()])
            expected = Expected(torch_floor=session.cell.torch_floor, with_kernels=(), build_folders=())
            yield Compiled(wheel, expected, self._sbom(toolchain))

    @property
    def _extensions(self) -> Mapping[str, Extension]:
        return self._session.config.settings.extensions

    @property
    def _toolkits(self) -> tuple[MinorVersion, ...]:
        """Every CUDA toolkit that compiles something, that of the cell first."""
        own = self._session.cell.cuda
        return (own, *sorted({cuda for one in self._extensions.values() for cuda in one.toolkits} - {own}))

    @property
    def _includes(self) -> frozenset[str]:
        """Headers that the sources take from the toolkit."""
        return toolkit_includes(kernel_groups(self._session.config, self._session.cell))

    def _toolchain(self, search_path: Sequence[str] | None = None) -> KernelsToolchain:
        session, devices = self._session, []
        session.reporter.step("finding the toolchain")
        for version in self._toolkits:
            device = find_device_compiler(
                load_tables().cuda[version], context=session.context, includes=self._includes, search_path=search_path
            )
            session.reporter.info(f"device  NVRTC of CUDA {device.cuda} ({device.found_via})")
            devices.append(device)
        return KernelsToolchain(tuple(devices))

    def _compile(self, toolchain: KernelsToolchain, out: Path) -> dict[MinorVersion, dict[str, BuiltGroup]]:
        """Toolkit -> the groups that an extension wants of it, by name."""
        session = self._session
        built: dict[MinorVersion, dict[str, BuiltGroup]] = {}
        for device in toolchain.devices:
            users = [one for one in self._extensions.values() if device.cuda in {session.cell.cuda, *one.toolkits}]
            wanted = {name for extension in users for name in extension.kernels}
            groups = [group for group in kernel_groups(session.config, session.cell) if group.name in wanted]
            folder = out / str(device.cuda)
            built[device.cuda] = {group.name: self._compile_group(group, device, folder) for group in groups}
        return built

    def _compile_group(self, group: KernelGroup, device: DeviceCompiler, out: Path) -> BuiltGroup:
        session = self._session
        targets = " ".join([*(a.sm for a in group.cubin_archs), *(a.compute for a in group.ptx_archs)])
        session.reporter.step(f"compiling kernels {group.name!r} for {targets} with CUDA {device.cuda}")
        built = compile_group(group, device, cache=session.cache, out=out, reporter=session.reporter, jobs=session.jobs)
        for line in summary(built):
            session.reporter.info(line)
        budget = session.config.settings.kernels[group.name].budget
        if budget is not None:
            check_budget(built, budget)
        return built

    def _files(self, built: Mapping[MinorVersion, Mapping[str, BuiltGroup]]) -> dict[str, bytes]:
        """Launchers, images and manifests, by their path in the wheel."""
        session, files = self._session, {}
        groups = built[session.cell.cuda]
        by_package: dict[str, set[str]] = {}
        for name, extension in self._extensions.items():
            toolkits = {session.cell.cuda, *extension.toolkits}
            chosen = [{cuda: built[cuda][group] for cuda in toolkits} for group in extension.kernels]
            files.update(launcher_files(name, chosen, session.config.project.root))
            by_package.setdefault(name.rpartition(".")[0].replace(".", "/"), set()).update(extension.kernels)
        for package, names in by_package.items():
            manifest = build_manifest(
                [groups[name] for name in sorted(names)],
                toolkit=session.cell.cuda,
                driver_floor=session.cell.driver_floor,
            )
            files[f"{package}/{_MANIFEST}" if package else _MANIFEST] = manifest_bytes(manifest)
        return dict(sorted(files.items()))

    def _sbom(self, toolchain: KernelsToolchain) -> bytes:
        toolkits = [load_tables().cuda[version] for version in self._toolkits]
        pins = [pin for toolkit in toolkits for pin in (*toolkit.components, *toolkit.headers)]
        return toolchain_sbom(toolchain, self._session.config.project.name, self._session.epoch, pins)
