"""What was asked for, with real files: globs expanded, paths absolute, defaults of the project filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.config.files.globs import resolve_folders, resolve_sources
from gpuwheel.config.laws.kernel_packages import launch_requirements
from gpuwheel.config.laws.nvcc_extensions import uses_torch
from gpuwheel.config.reading.extras import extra_requirements
from gpuwheel.model.kernels import KernelGroup
from gpuwheel.model.libraries import HostLibrary

if TYPE_CHECKING:
    from gpuwheel.config.model import LoadedConfig
    from gpuwheel.model.cells import Cell

__all__ = ["host_libraries", "kernel_groups", "requirements"]


def requirements(config: LoadedConfig) -> tuple[str, ...]:
    """What gpuwheel adds to Requires-Dist: torch unless the project states its dependencies itself, and extras."""
    settings = config.settings
    torch = (f"torch{settings.torch}",) if uses_torch(settings) else ()
    written = (*torch, *settings.dependencies, *launch_requirements(settings))
    own = written if config.project.dependencies is None else ()
    return (*own, *extra_requirements(settings))


def kernel_groups(config: LoadedConfig, cell: Cell) -> tuple[KernelGroup, ...]:
    """The kernel groups that some extension embeds, in the order of the configuration.

    Raises:
        ConfigError: a glob matches nothing, or a folder does not exist.
    """
    root = config.project.root
    used = {name for extension in config.settings.extensions.values() for name in extension.kernels}
    groups = []
    for name, kernels in config.settings.kernels.items():
        if name not in used:
            continue
        targets = cell.archs if kernels.archs is None else kernels.archs
        groups.append(
            KernelGroup(
                name=name,
                sources=resolve_sources(root, kernels.sources, f"kernels.{name}.sources"),
                include_dirs=resolve_folders(root, kernels.include_dirs, f"kernels.{name}.include-dirs"),
                defines=kernels.defines,
                flags=kernels.flags,
                std=kernels.std,
                cubin_archs=tuple(target.arch for target in targets),
                ptx_archs=tuple(target.arch for target in targets if target.ptx),
                lineinfo=kernels.lineinfo,
                compression=cell.compression,
                root=root,
            )
        )
    return tuple(groups)


def host_libraries(config: LoadedConfig) -> tuple[HostLibrary, ...]:
    """The extensions of the project, in the order of the configuration.

    Raises:
        ConfigError: a glob matches nothing, or a folder does not exist.
    """
    root = config.project.root
    return tuple(
        HostLibrary(
            import_path=name,
            sources=resolve_sources(root, extension.sources, f'extensions."{name}".sources'),
            include_dirs=resolve_folders(root, extension.include_dirs, f'extensions."{name}".include-dirs'),
            defines=extension.defines,
            flags=extension.flags,
            link_flags=extension.link_flags,
            std=extension.std,
            kernels=extension.kernels,
        )
        for name, extension in config.settings.extensions.items()
    )
