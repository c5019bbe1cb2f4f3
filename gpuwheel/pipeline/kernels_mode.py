"""Mode `kernels`: kernels by NVRTC and cuTile, and launchers in Python instead of host code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.compile.launchers.kernel_package import launcher_files, write_install_project
from gpuwheel.compile.manifest import MANIFEST, group_entry
from gpuwheel.compile.tiles.tile_group import compile_tile_group
from gpuwheel.lock.check import BuildInputs, pin_digests
from gpuwheel.model.promises import Claims, Expected
from gpuwheel.model.toolchain import KernelsToolchain
from gpuwheel.pipeline.session import Compiled
from gpuwheel.toolchain import find_device_compiler, find_tile_compiler
from gpuwheel.wheel import Member, add_members, read_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.model.kernels import CompiledGroup
    from gpuwheel.model.pins import Pin
    from gpuwheel.model.versions import MinorVersion
    from gpuwheel.pipeline.session import Session

__all__ = ["KernelsBuild"]


class KernelsBuild:
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._job = session.job

    def requires(self) -> tuple[Pin, ...]:
        """The pins of the cell's NVRTC and CUDA headers; those of other compilers do not fit beside them."""
        # Two toolkits of one major are two versions of the same distributions: an environment holds one.
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
        """The inner backend's wheel."""
        session, config = self._session, self._session.config
        toolchain = self._toolchain()
        with session.workspace(keep=editable or keep) as work, session.cache.scratch() as out:
            files = self._files(self._compile(toolchain, work / "kernels"))
            if editable:  # CMake only installs: the finder of an editable install knows what it installed
                write_install_project(files, work / "project")
                settings = inner.install_settings(config.inner, project=work / "project", build=work / "build")
                wheel = read_wheel(inner.build_wheel(session.inside, out, settings, editable=True))
            else:
                settings = inner.pure_settings(config.inner)
                wheel = read_wheel(inner.build_wheel(session.inside, out, settings, editable=False))
                wheel = add_members(wheel, (Member(name, data) for name, data in files.items()))
            yield Compiled(wheel, Expected(Claims(session.cell.torch_floor)), toolchain)

    def files(self, work: Path) -> dict[str, bytes]:
        """What the wheel holds beside Python files of the project's, by path; compiled in `work`."""
        return self._files(self._compile(self._toolchain(), work / "kernels"))

    def _toolkits(self, *, cutile: bool) -> list[CudaToolkit]:
        """Those that compile CUDA C++, or cuTile sources."""
        return [load_tables().cuda[version] for version in self._job.toolkits(cutile=cutile)]

    @property
    def _includes(self) -> frozenset[str]:
        """Headers that the sources take from the toolkit."""
        groups = (group for groups in self._job.groups.values() for group in groups)
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
        asked = self._session.compilers
        devices = {device.cuda: device for device in toolchain.devices}
        tiles = {tile.cuda: tile for tile in toolchain.tiles}
        built: dict[MinorVersion, dict[str, CompiledGroup]] = {}
        for cuda, groups in self._job.groups.items():
            built[cuda] = {}
            for group in groups:
                targets = " ".join([*(a.sm for a in group.cubin_archs), *(a.compute for a in group.ptx_archs)])
                report.step(f"compiling kernels {group.name!r} for {targets} with CUDA {cuda}")
                # A folder for each: a group has one name in all of them.
                folder = out / str(cuda)
                built[cuda][group.name] = self._session.judged(
                    compile_tile_group(group, tiles[cuda], cache=cache, out=folder, reporter=report, jobs=jobs)
                    if group.uses_cutile
                    else compile_group(group, devices[cuda], cache=cache, out=folder, reporter=report, jobs=asked)
                )
        return built

    def _files(self, built: Mapping[MinorVersion, Mapping[str, CompiledGroup]]) -> dict[str, bytes]:
        """Launchers, images and manifests, by their path in the wheel."""
        own, files, entries = self._session.cell.cuda, {}, []
        # Reversed, so that the first toolkit of a group is written last, and wins.
        first = {name: (cuda, group) for cuda in reversed(list(built)) for name, group in built[cuda].items()}
        for package in self._job.launchers:
            chosen = [
                {cuda: built[cuda][group] for cuda in package.toolkits if group in built[cuda]}
                for group in package.kernels
            ]
            files.update(launcher_files(package.import_path, chosen, self._job.root))
            for name in package.kernels:
                cuda, group = first[name]
                entries.append((package.package, name, group_entry(group, cuda if cuda != own else None)))
        contents = self._session.manifests(entries)
        return dict(sorted((files | {f"{folder}/{MANIFEST}": text for folder, text in contents.items()}).items()))
