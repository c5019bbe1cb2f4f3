"""What was asked for, with real files: globs expanded, paths absolute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.config.files.globs import resolve_folders, resolve_sources
from gpuwheel.config.laws.kernel_packages import launch_requirements
from gpuwheel.config.reading.extras import extra_requirements
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.model.jobs import Files, ProjectFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.specifiers import SpecifierSet

    from gpuwheel.config.model import Extension, Kernels, LoadedConfig, Settings

__all__ = ["compiled_tables", "project_files", "requirements"]


def requirements(config: LoadedConfig, torch: SpecifierSet | None) -> tuple[str, ...]:
    """What gpuwheel adds to Requires-Dist: unless the project states its dependencies itself, those; and extras.

    Args:
        config: what the project asks for.
        torch: versions of torch that the wheel is for; `None`: it does without.
    """
    settings = config.settings
    written = (*(() if torch is None else (f"torch{torch}",)), *settings.dependencies, *launch_requirements(settings))
    # PEP 621: a field that is static has one writer, the author.
    own = written if config.project.dependencies is None else ()
    return (*own, *extra_requirements(settings))


def compiled_tables(settings: Settings) -> Iterator[tuple[str, str, Kernels | Extension]]:
    """Table, name and content of all that is compiled: kernel groups that some extension uses, and extensions."""
    used = {name for extension in settings.extensions.values() for name in extension.kernels}
    yield from (("kernels", name, group) for name, group in settings.kernels.items() if name in used)
    yield from (("extensions", name, extension) for name, extension in settings.extensions.items())


def project_files(config: LoadedConfig) -> ProjectFiles:
    """The files and folders that the patterns of the project name.

    Raises:
        ConfigError: a glob matches nothing, or a folder does not exist.
    """
    root = config.project.root
    found: dict[str, dict[str, Files]] = {"kernels": {}, "extensions": {}}
    for table, name, content in compiled_tables(config.settings):
        key = dotted((table, name))
        found[table][name] = Files(
            resolve_sources(root, content.sources, f"{key}.sources"),
            resolve_folders(root, content.include_dirs, f"{key}.include-dirs"),
        )
    return ProjectFiles(root, **found)
