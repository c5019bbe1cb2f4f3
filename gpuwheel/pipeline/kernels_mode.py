"""Mode `kernels`: kernels by NVRTC and cuTile, and launchers in Python instead of host code."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.compile.launchers.kernel_package import launcher_files, write_install_project
from gpuwheel.compile.manifest import build_manifest, manifest_bytes
from gpuwheel.compile.tiles.tile_group import compile_tile_group
from gpuwheel.config import kernel_groups
from gpuwheel.lock.check import BuildInputs, pin_digests
from gpuwheel.model.toolchain import KernelsToolchain
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain import find_device_compiler, find_tile_compiler
from gpuwheel.wheel import Member, append_members, toolchain_sbom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.config.model import Extension
    from gpuwheel.model.kernels import CompiledGroup, KernelGroup
    from gpuwheel.model.pins import Pin
    from gpuwheel.model.versions import MinorVersion
    from gpuwheel.pipeline.session import Session

__all__ = ["KernelsBuild"]

_MANIFEST = "_kernels.json"


class KernelsBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def requires(self) -> tuple[Pin, ...]:
        """The pins of the cell's NVRTC and CUDA headers; those of other compilers do not fit beside them."""
        own = [toolkit for toolkit in self._toolkits(cutile=False) if toolkit.version == self._session.cell.cuda]
        return tuple(pin for toolkit in own for pin in toolkit.components)

    def inputs(self) -> BuildInputs:
        """NVRTC of each toolkit with its headers, and cuTile."""
        toolkits, includes = self._toolkits(cutile=False), self._includes
        own = [pin for kit in toolkits if kit.version == self._session.cell.cuda for pin in kit.components]
        in_cache = [pin for kit in toolkits if kit.version != self._session.cell.cuda for pin in kit.components]
        in_cache += [pin for kit in self._toolkits(cutile=True) for pin in kit.cutile]
        headers = tuple(pin for kit in toolkits for pin in kit.headers if pin.is_needed_for(includes))
        return BuildInputs(tuple(own), headers, None, pin_digests(in_cache))

    def fetch(self) -> None:
        """The device compilers go into the cache even where this environment has them."""
        self._toolchain(search_path=())

    @contextmanager
    def compiled(self, *, editable: bool, keep: bool = False) -> Iterator[Compiled]:
        """The inner backend's wheel, which is gone afterwards."""
        from gpuwheel.audit.built import Expected  # noqa: PLC0415 (gpuwheel dev does without)

        session, config = self._session, self._session.config
        toolchain = self._toolchain()
        with session.workspace(keep=editable or keep) as work, session.cache.scratch() as out:
            files = self._files(self._compile(toolchain, work / "kernels"))
            if editable:  # CMake only installs: the finder of an editable install knows what it installed
                write_install_project(files, work / "project")
                settings = inner.install_settings(config.inner, project=work / "project", build=work / "build")
                wheel = inner.build_wheel(session.inside, out, settings, editable=True)
            else:
                settings = inner.pure_settings(config.inner)
                wheel = inner.build_wheel(session.inside, out, settings, editable=False)
                append_members(wheel, [Member(name, data) for name, data in files.items()])
            expected = Expected(torch_floor=session.cell.torch_floor, with_kernels=(), build_folders=())
            yield Compiled(wheel, expected, self._sbom(toolchain))

    def files(self, work: Path) -> dict[str, bytes]:
        """What the wheel holds beside Python files of the project's, by path; compiled in `work`."""
        return self._files(self._compile(self._toolchain(), work / "kernels"))

    @property
    def _extensions(self) -> Mapping[str, Extension]:
        return self._session.config.settings.extensions

    @cached_property
    def _groups(self) -> Mapping[MinorVersion, Sequence[KernelGroup]]:
        """Toolkit -> the groups that it compiles for some extension; the toolkit of the cell first."""
        session, own = self._session, self._session.cell.cuda
        groups = kernel_groups(session.config, session.cell)
        compiled = {}
        for version in (own, *sorted({cuda for one in self._extensions.values() for cuda in one.toolkits} - {own})):
            users = [one for one in self._extensions.values() if version in {own, *one.toolkits}]
            wanted = [group for group in groups if any(group.name in one.kernels for one in users)]
            toolkit = load_tables().cuda[version]
            compiled[version] = [group for group in wanted if toolkit.device_pins(cutile=group.uses_cutile)]
        return compiled

    def _toolkits(self, *, cutile: bool) -> list[CudaToolkit]:
        """Those that compile CUDA C++, or cuTile sources."""
        found = [cuda for cuda, groups in self._groups.items() if any(one.uses_cutile == cutile for one in groups)]
        return [load_tables().cuda[version] for version in found]

    @property
    def _includes(self) -> frozenset[str]:
        """Headers that the sources take from the toolkit."""
        groups = kernel_groups(self._session.config, self._session.cell)
        return toolkit_includes([group for group in groups if not group.uses_cutile])

    def _toolchain(self, search_path: Sequence[str] | None = None) -> KernelsToolchain:
        context, report = self._session.context, self._session.reporter
        report.step("finding the toolchain")
        devices = []
        for toolkit in self._toolkits(cutile=False):
            device = find_device_compiler(toolkit, context=context, includes=self._includes, search_path=search_path)
            report.info(f"device  NVRTC of CUDA {device.cuda} ({device.found_via})")
            devices.append(device)
        tiles = []
        for toolkit in self._toolkits(cutile=True):
            tile = find_tile_compiler(toolkit, context=context)
            report.info(f"device  cuTile of CUDA {tile.cuda} ({tile.found_via})")
            tiles.append(tile)
        return KernelsToolchain(tuple(devices), tuple(tiles))

    def _compile(self, toolchain: KernelsToolchain, out: Path) -> dict[MinorVersion, dict[str, CompiledGroup]]:
        """Toolkit -> the groups that an extension wants of it, by name."""
        cache, report, jobs = self._session.cache, self._session.reporter, self._session.jobs
        devices = {device.cuda: device for device in toolchain.devices}
        tiles = {tile.cuda: tile for tile in toolchain.tiles}
        built: dict[MinorVersion, dict[str, CompiledGroup]] = {}
        for cuda, groups in self._groups.items():
            built[cuda] = {}
            for group in groups:
                targets = " ".join([*(a.sm for a in group.cubin_archs), *(a.compute for a in group.ptx_archs)])
                report.step(f"compiling kernels {group.name!r} for {targets} with CUDA {cuda}")
                folder = out / str(cuda)
                built[cuda][group.name] = self._session.judged(
                    compile_tile_group(group, tiles[cuda], cache=cache, out=folder, reporter=report, jobs=jobs)
                    if group.uses_cutile
                    else compile_group(group, devices[cuda], cache=cache, out=folder, reporter=report, jobs=jobs)
                )
        return built

    def _files(self, built: Mapping[MinorVersion, Mapping[str, CompiledGroup]]) -> dict[str, bytes]:
        """Launchers, images and manifests, by their path in the wheel."""
        session, files = self._session, {}
        by_package: dict[str, set[str]] = {}
        for name, extension in self._extensions.items():
            toolkits = {session.cell.cuda, *extension.toolkits}
            chosen = [
                {cuda: built[cuda][group] for cuda in toolkits if group in built[cuda]} for group in extension.kernels
            ]
            files.update(launcher_files(name, chosen, session.config.project.root))
            package = name.rpartition(".")[0] or name  # launchers are a package themselves
            by_package.setdefault(package.replace(".", "/"), set()).update(extension.kernels)
        first = {name: (cuda, group) for cuda in reversed(list(built)) for name, group in built[cuda].items()}
        for package, names in by_package.items():
            manifest = build_manifest(
                [first[name][1] for name in sorted(names)],
                toolkit=session.cell.cuda,
                driver_floor=session.cell.driver_floor,
                further={name: first[name][0] for name in names if first[name][0] != session.cell.cuda},
            )
            files[f"{package}/{_MANIFEST}"] = manifest_bytes(manifest)
        return dict(sorted(files.items()))

    def _sbom(self, toolchain: KernelsToolchain) -> bytes:
        pins = [pin for kit in self._toolkits(cutile=False) for pin in (*kit.components, *kit.headers)]
        pins += [pin for kit in self._toolkits(cutile=True) for pin in kit.cutile]
        return toolchain_sbom(toolchain, self._session.config.project.name, self._session.epoch, pins)
