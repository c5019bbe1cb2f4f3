"""What rejects a wheel without host code beyond what rejects any: who compiles its kernel groups, and for what.

NVRTC compiles CUDA C++, cuTile compiles Python modules, and not every toolkit is pinned with both. Each group needs one
that compiles it among the project's toolkit and the further ones of its extensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel.plan.checks import Problem, arch_lists, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from gpuwheel.compatibility import CudaToolkit, Tables
    from gpuwheel.config.model import Settings
    from gpuwheel.model.archs import Arch, ArchTarget
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.versions import MinorVersion

__all__ = ["kernels_problems"]


@dataclass(frozen=True)
class _Group:
    """A kernel group, and the toolkits that its extensions name."""

    name: str
    cutile: bool
    toolkits: tuple[MinorVersion, ...]
    archs_key: str
    targets: tuple[ArchTarget, ...]

    @property
    def sources(self) -> str:
        return "cuTile sources" if self.cutile else "CUDA C++"


def kernels_problems(cell: Cell, settings: Settings, tables: Tables) -> tuple[Problem, ...]:
    """Toolkits that compile nothing, groups that none compiles, architectures and drivers that do not fit."""
    groups = list(_groups(cell, settings))
    further = sorted({version for extension in settings.extensions.values() for version in extension.toolkits})
    idle = {cell.cuda, *further} - set(_pinned(groups, tables))
    return (
        *_own_toolkit(cell, groups, tables),
        *(problem for version in further for problem in _further_toolkit(version, settings, groups, tables)),
        *(problem for group in groups for problem in _group(group, cell, tables, idle)),
    )


def _groups(cell: Cell, settings: Settings) -> Iterator[_Group]:
    for name, kernels in settings.kernels.items():
        users = [extension for extension in settings.extensions.values() if name in extension.kernels]
        toolkits = tuple(sorted({cuda for user in users for cuda in (cell.cuda, *user.toolkits)}))
        if kernels.archs is None:
            key, targets = "archs", settings.archs
        else:
            key, targets = f"kernels.{name}.archs", kernels.archs
        if users:
            yield _Group(name, kernels.uses_cutile, toolkits, key, targets)


def _compilers(group: _Group, tables: Tables, versions: Iterable[MinorVersion]) -> list[CudaToolkit]:
    """The toolkits that compile a group."""
    toolkits = (tables.cuda[version] for version in versions if version in tables.cuda)
    return [toolkit for toolkit in toolkits if toolkit.device_pins(cutile=group.cutile)]


def _pinned(groups: Iterable[_Group], tables: Tables) -> list[MinorVersion]:
    """Toolkits that compile at least one of the groups."""
    return sorted({toolkit.version for group in groups for toolkit in _compilers(group, tables, tables.cuda)})


def _own_toolkit(cell: Cell, groups: list[_Group], tables: Tables) -> Iterator[Problem]:
    pinned = _pinned(groups, tables)
    if cell.cuda in tables.cuda and cell.cuda not in pinned:
        sources = " and ".join(sorted({group.sources for group in groups}))
        reason = f"cuda {cell.cuda} has no device compiler that gpuwheel pins for {sources}"
        yield Problem(f"{reason} (expected {listed(pinned)})", f'cuda = "{pinned[0]}"')


def _further_toolkit(
    version: MinorVersion, settings: Settings, groups: list[_Group], tables: Tables
) -> Iterator[Problem]:
    pinned = _pinned(groups, tables)
    if version not in pinned:
        yield Problem(
            f"toolkits names cuda {version}, which has no device compiler that gpuwheel pins "
            f"(expected {listed(pinned)})",
            f'toolkits = ["{pinned[-1]}"]',
        )
        return
    toolkit = tables.cuda[version]
    if toolkit.components:
        for key, targets in arch_lists(settings, cutile=False).items():
            strange = ", ".join(str(target.arch) for target in targets if target.arch not in toolkit.archs)
            if strange:
                yield Problem(
                    f"{key} names {strange}, which cuda {version} of toolkits does not compile for",
                    f"take {strange} out of {key}, or {version} out of toolkits",
                )


def _group(group: _Group, cell: Cell, tables: Tables, idle: AbstractSet[MinorVersion]) -> Iterator[Problem]:
    compilers = _compilers(group, tables, group.toolkits)
    pinned = _pinned([group], tables)
    if not compilers:
        if idle.isdisjoint(group.toolkits):  # else the toolkit was named already
            reason = f"kernels.{group.name} has {group.sources}, which cuda {listed(group.toolkits)} does not compile"
            hint = f'toolkits = ["{pinned[-1]}"] in the extensions that have it, or cuda = "{pinned[-1]}"'
            yield Problem(f"{reason} (expected {listed(pinned)})", hint)
        return
    if cell.cuda not in {toolkit.version for toolkit in compilers}:
        floor = min(toolkit.driver_floor for toolkit in compilers)
        if cell.driver_floor < floor:
            reason = f"driver {cell.driver_floor} cannot load the images of kernels.{group.name}"
            yield Problem(f"{reason} (expected {floor} or newer)", f'driver = ">={floor}"')
    if group.cutile:
        for toolkit in compilers:
            yield from _cutile_targets(group, toolkit)


def _cutile_targets(group: _Group, toolkit: CudaToolkit) -> Iterator[Problem]:
    """Code of cuTile is arch-specific from 9.0 on, which the name of a target has to say; and it has no PTX."""
    known = toolkit.cutile_archs
    strange = [target.arch for target in group.targets if target.arch not in known]
    fitting = [_exact(target.arch, known) for target in group.targets]
    written = ", ".join(f'"{arch}"' for arch in dict.fromkeys(arch for arch in fitting if arch is not None))
    hint = f"archs = [{written}] in [tool.gpuwheel.kernels.{group.name}]" if written else None
    if strange:
        reason = (
            f"{group.archs_key} names {listed(strange)}, which cuTile of cuda {toolkit.version} does not compile for"
        )
        yield Problem(f"{reason} (it knows {listed(known)})", hint)
    with_ptx = [target for target in group.targets if target.ptx]
    if with_ptx:
        reason = f"{group.archs_key} asks for PTX of kernels.{group.name}, and cuTile makes none"
        yield Problem(f"{reason} (found {listed(with_ptx)})", hint)


def _exact(arch: Arch, known: tuple[Arch, ...]) -> Arch | None:
    """What cuTile calls the device of a target."""
    plain = replace(arch, suffix="")
    return next((one for one in known if replace(one, suffix="") == plain), None)
