"""What an accepted cell compiles: the files of the project, with everything chosen for the cell."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gpuwheel.compatibility import nvcc_compression
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.model.jobs import Job
from gpuwheel.model.kernels import KernelGroup
from gpuwheel.model.libraries import HostLibrary, LauncherPackage, NvccLibrary, NvccSource
from gpuwheel.plan.axes import floor_of

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import CudaToolkit, Tables
    from gpuwheel.config.model import Extension, Kernels, Settings
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.jobs import Files, ProjectFiles
    from gpuwheel.model.pins import HeadersPin, Pin
    from gpuwheel.model.versions import MinorVersion

__all__ = ["resolve_job"]

_CUDA_SUFFIX = ".cu"


def resolve_job(cell: Cell, settings: Settings, files: ProjectFiles, tables: Tables) -> Job:
    """Everything that `cell` compiles. Only for a cell that the plan accepts: what it asks of the tables is there."""
    groups, exact = _groups(cell, settings, files, tables), cell.torch is TorchAbi.EXACT
    names = {mode: files.extensions if cell.mode is mode else {} for mode in Mode}
    return Job(
        cell=cell,
        root=files.root,
        groups=groups,
        libraries=tuple(
            HostLibrary(import_path=name, **_asked(HostLibrary, settings.extensions[name], found))
            for name, found in names[Mode.EMBED].items()
        ),
        nvcc_libraries=tuple(
            _nvcc_library(name, found, cell, settings, files.root) for name, found in names[Mode.NVCC].items()
        ),
        launchers=tuple(
            LauncherPackage(name, extension.kernels, frozenset({cell.cuda, *extension.toolkits}))
            for name, extension in settings.extensions.items()
            if cell.mode is Mode.KERNELS
        ),
        own_cmake=None if settings.cmake is None else (files.root / settings.cmake).parent,
        torch_headers=_torch_headers(cell, tables),
        # The stable ABI's headers ask for C++17, which is the least that `std` can be.
        cxx_standard=_cxx_standard(cell, settings, tables) if exact else 0,
        nvcc_compression=nvcc_compression(tables, cell.driver_floor, cell.cuda),
        pins=tuple(pin for version in groups for pin in _pins(cell, tables.cuda[version])),
    )


def _cxx_standard(cell: Cell, settings: Settings, tables: Tables) -> int:
    """One for all cells of a toolkit: what does without torch is compiled once for them."""
    floors = {cell.torch_floor, *map(floor_of, settings.torch)}
    rows = (tables.torch[floor] for floor in floors if floor in tables.torch)
    return max(row.cxx_standard for row in rows if row.cuda.major == cell.cuda.major)


def _groups(
    cell: Cell, settings: Settings, files: ProjectFiles, tables: Tables
) -> dict[MinorVersion, tuple[KernelGroup, ...]]:
    """Toolkit -> the groups that it compiles for some extension; the toolkit of the cell first."""
    if cell.mode is Mode.PYTHON:
        return {}
    groups = [_kernel_group(name, found, cell, settings, files.root) for name, found in files.kernels.items()]
    further = {version for extension in settings.extensions.values() for version in extension.toolkits}
    compiled = {}
    for version in (cell.cuda, *sorted(further - {cell.cuda})):
        users = [one for one in settings.extensions.values() if version in {cell.cuda, *one.toolkits}]
        wanted = [group for group in groups if any(group.name in one.kernels for one in users)]
        toolkit = tables.cuda[version]
        compiled[version] = tuple(group for group in wanted if toolkit.device_pins(cutile=group.uses_cutile))
    return compiled


def _kernel_group(name: str, files: Files, cell: Cell, settings: Settings, root: Path) -> KernelGroup:
    asked = settings.kernels[name]
    targets = cell.archs if asked.archs is None else asked.archs
    chosen = {
        "name": name,
        "cubin_archs": tuple(target.arch for target in targets),
        "ptx_archs": tuple(target.arch for target in targets if target.ptx),
        "compression": cell.compression,
        "root": root,
    }
    return KernelGroup(**_asked(KernelGroup, asked, files) | chosen)


def _nvcc_library(name: str, files: Files, cell: Cell, settings: Settings, root: Path) -> NvccLibrary:
    asked = settings.extensions[name]
    chosen = {
        "import_path": name,
        "sources": tuple(_nvcc_source(path, cell, settings, root) for path in files.sources),
        "torch": asked.abi,
        # The project's own CMake names the sources: gpuwheel has none to ask, and takes what the project declares.
        "declared": frozenset(() if settings.cmake is None else cell.archs),
    }
    return NvccLibrary(**_asked(NvccLibrary, asked, files) | chosen)


def _asked(kind: type, asked: Kernels | Extension, files: Files) -> dict[str, Any]:
    """Those fields of a resolved value that stand in the configuration under the same name, with its files."""
    same = {field.name: getattr(asked, field.name) for field in fields(kind) if hasattr(asked, field.name)}
    return same | {"sources": files.sources, "include_dirs": files.include_dirs}


def _nvcc_source(path: Path, cell: Cell, settings: Settings, root: Path) -> NvccSource:
    """Of several tables about one source, the last that names architectures decides; flags add up."""
    tables = [settings.sources[name] for name in settings.tables_about(path.relative_to(root).as_posix())]
    own = [tuple(sorted(table.archs)) for table in tables if table.archs is not None]
    return NvccSource(
        path,
        cuda=path.suffix == _CUDA_SUFFIX,
        targets=own[-1] if own else cell.archs,
        flags=tuple(flag for table in tables for flag in table.flags),
    )


def _torch_headers(cell: Cell, tables: Tables) -> HeadersPin | None:
    if cell.mode not in {Mode.EMBED, Mode.NVCC} or cell.torch is TorchAbi.NONE:
        return None
    # One tree of headers for every floor: gpuwheel/torch.h bounds what is used by TORCH_TARGET_VERSION.
    if cell.torch is TorchAbi.STABLE:
        return tables.torch_sdk
    return tables.torch[cell.torch_floor].headers[cell.machine or ""]


def _pins(cell: Cell, toolkit: CudaToolkit) -> tuple[Pin, ...]:
    if cell.mode is Mode.NVCC:
        return (*toolkit.nvcc, *toolkit.libraries)
    return (*toolkit.components, *toolkit.headers, *toolkit.cutile)
