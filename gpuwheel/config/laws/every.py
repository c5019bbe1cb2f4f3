"""What must hold between the keys, and between them and the files of the project."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel import __version__
from gpuwheel.config.files.globs import resolve_folders, resolve_sources
from gpuwheel.config.laws.characters import check_words
from gpuwheel.config.laws.kernel_packages import check_kernels_mode
from gpuwheel.config.laws.nvcc_extensions import check_nvcc
from gpuwheel.config.laws.tile_groups import check_cutile
from gpuwheel.config.reading.mistakes import dotted, unknown
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.config.model import Settings
    from gpuwheel.model.archs import ArchTarget

__all__ = ["check_minimum_version", "check_settings"]

_DEVICE_SUFFIXES = (".cu", ".cuh")


def check_minimum_version(minimum: Version | None, origin: str) -> None:
    """Checked before any other key: a project for a newer gpuwheel may use keys that this one does not know.

    Raises:
        ConfigError: the project was written for a newer gpuwheel.
    """
    # A development version has what its release will have.
    if minimum is not None and minimum > Version(Version(__version__).base_version):
        found = f"found {minimum}, expected {__version__} or older"
        msg = f"minimum-version in {origin} is newer than this gpuwheel ({found})"
        raise ConfigError(msg, hint=f'requires = ["gpuwheel>={minimum}"] in [build-system], or pip install -U gpuwheel')


def check_settings(settings: Settings, root: Path, origins: Mapping[str, str]) -> tuple[str, ...]:
    """Laws over the whole of the settings.

    Returns:
        Warnings: kernel groups that no extension uses, TORCH_CUDA_ARCH_LIST where a group has architectures of its own.

    Raises:
        ConfigError: no extension, and no `nvmath` that does without; two extensions that cannot both exist; a kernel
            group that does not exist; an architecture named twice; a local version for every wheel; sources or folders
            that are not there; device code among C++ sources.
    """
    if not settings.extensions and (settings.nvmath is None or settings.kernels or settings.cmake is not None):
        msg = "tool.gpuwheel in pyproject.toml has no extension (found none, expected one or more)"
        raise ConfigError(msg, hint='add [tool.gpuwheel.extensions."package._C"] with sources = ["csrc/*.cpp"]')
    # In the order in which somebody would read the file: the first mistake is the one that is told.
    _check_archs(settings.archs, "archs", origins)
    _check_local(settings, origins)
    _check_collisions(settings)
    _check_groups(settings, root, origins)
    check_kernels_mode(settings, origins)
    _check_extensions(settings, root, origins)
    check_nvcc(settings, root, origins)
    check_words(settings, root, origins)
    used = {name for extension in settings.extensions.values() for name in extension.kernels}
    return tuple(
        f"kernels.{name} is compiled into no extension; add it to kernels of one"
        for name in settings.kernels
        if name not in used
    )


def _check_archs(archs: tuple[ArchTarget, ...], key: str, origins: Mapping[str, str]) -> None:
    for one, other in combinations(archs, 2):
        if one.arch == other.arch:
            msg = f"{_where(key, origins)} names an architecture twice (found '{one}' and '{other}', expected one)"
            raise ConfigError(msg, hint=f"keep '{max(one, other)}'")


def _check_local(settings: Settings, origins: Mapping[str, str]) -> None:
    if settings.local is not None and origins.get("local") == "pyproject.toml":
        # pip discards what an sdist of an index builds where its version is another than the sdist's.
        msg = f"local in pyproject.toml would be in every wheel (found {settings.local!r}, expected in none)"
        raise ConfigError(msg, hint=f"take it out, and build with -C gpuwheel.local={settings.local}")


def _check_collisions(settings: Settings) -> None:
    for one, other in combinations(sorted(settings.extensions), 2):
        # `ops.so` and the folder `ops` beside it: which of them `import ops` gives is the interpreter's choice.
        if other.startswith(f"{one}."):
            why = f"{one!r} would be both a library and a package"
        # Some file systems have one case, and in names that are made of import paths a dot becomes an underscore.
        elif one.casefold().replace(".", "_") == other.casefold().replace(".", "_"):
            why = "the names differ only in case, '.' or '_'"
        else:
            continue
        msg = f"extensions {one!r} and {other!r} collide ({why})"
        raise ConfigError(msg, hint="rename one of them")


def _check_groups(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    for name, group in settings.kernels.items():
        key = f"kernels.{name}"
        if group.archs is not None:
            _check_archs(group.archs, f"{key}.archs", origins)
        sources = resolve_sources(root, group.sources, _where(f"{key}.sources", origins))
        if group.uses_cutile:
            check_cutile(name, settings, sources, origins)
        allowed = {".py"} if group.uses_cutile else _DEVICE_SUFFIXES
        strange = [source for source in sources if source.suffix not in allowed]
        if strange:
            found = strange[0].relative_to(root).as_posix()
            subject = _where(f"{key}.sources", origins)
            msg = f"{subject} matches a file that is not device code (found {found!r}, expected .cu files)"
            raise ConfigError(msg, hint="C++ files go to sources of an extension")
        resolve_folders(root, group.include_dirs, _where(f"{key}.include-dirs", origins))


def _check_extensions(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    for name, extension in settings.extensions.items():
        key = dotted(("extensions", name))
        for group in extension.kernels:
            if group not in settings.kernels:
                subject = f"{_where(f'{key}.kernels', origins)} names a kernel group that does not exist"
                if not settings.kernels:
                    msg = f"{subject} (found {group!r}, expected a table [tool.gpuwheel.kernels.{group}])"
                    raise ConfigError(msg, hint=f'add [tool.gpuwheel.kernels.{group}] with sources = ["csrc/*.cu"]')
                raise unknown(group, settings.kernels, subject=subject)
        sources = resolve_sources(root, extension.sources, _where(f"{key}.sources", origins))
        device = [source for source in sources if source.suffix in _DEVICE_SUFFIXES]
        if device and extension.mode is not Mode.NVCC:
            found = device[0].relative_to(root).as_posix()
            msg = f"{_where(f'{key}.sources', origins)} matches device code (found {found!r}, expected C++ files)"
            raise ConfigError(msg, hint="device code goes to sources of a kernel group, [tool.gpuwheel.kernels.NAME]")
        resolve_folders(root, extension.include_dirs, _where(f"{key}.include-dirs", origins))


def _where(key: str, origins: Mapping[str, str]) -> str:
    return f"{key} in {origins.get(key, 'defaults')}"
