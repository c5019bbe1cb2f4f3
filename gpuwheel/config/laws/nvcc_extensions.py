"""What mode `nvcc` adds to the configuration: laws between its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.config.files.globs import resolve_sources
from gpuwheel.config.laws.compat_extensions import check_compat
from gpuwheel.config.model import Extension
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.config.model import Settings

__all__ = ["check_nvcc", "uses_torch"]

_CMAKE_FILE = "CMakeLists.txt"
_OWN_KEYS = ("abi", "python", "nvcc_flags", "rdc", "libraries", "include_packages", "exports")
_OTHER_KEYS = ("kernels",)


def uses_torch(settings: Settings) -> bool:
    """Whether any extension does; a project without extensions is one of operators in Python, which do."""
    extensions = settings.extensions.values()
    return not extensions or any(extension.abi is not TorchAbi.NONE for extension in extensions)


def check_nvcc(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    """Laws of the keys that are for this mode alone, or not for it.

    Raises:
        ConfigError: a key of another mode; a torch range that does not fit `abi`; a table of `sources` for no source.
    """
    nothing = Extension(sources=())
    for name, extension in settings.extensions.items():
        keys = _OTHER_KEYS if extension.mode is Mode.NVCC else _OWN_KEYS
        for key in keys:
            if getattr(extension, key) != getattr(nothing, key):
                shown = dotted(("extensions", name, key.replace("_", "-")))
                where = origins.get(shown, "pyproject.toml")
                msg = f"{shown} in {where} is not for mode {extension.mode.value!r}"
                mode = Mode.EMBED if extension.mode is Mode.NVCC else Mode.NVCC
                raise ConfigError(msg, hint=f'remove it, or set mode = "{mode.value}" for this extension')
    check_compat(settings, root, origins)
    _check_own_cmake(settings, root, origins)
    _check_torch(settings, origins)
    _check_source_tables(settings, root, origins)


def _check_own_cmake(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    if settings.cmake is None:
        return
    where = f"cmake in {origins.get('cmake', 'pyproject.toml')}"
    if not settings.cmake.endswith(_CMAKE_FILE) or not (root / settings.cmake).is_file():
        msg = f"{where} does not name a file that is there (found {settings.cmake!r}, expected a {_CMAKE_FILE})"
        raise ConfigError(msg, hint=f'cmake = "{_CMAKE_FILE}"')
    for name, extension in settings.extensions.items():
        key = dotted(("extensions", name))
        if extension.mode is Mode.KERNELS:
            msg = f"{where} compiles host code, of which {key} has none (found mode {extension.mode.value!r})"
            raise ConfigError(msg, hint="remove cmake")
        if extension.sources:
            msg = f"{key}.sources stands beside {where}, which compiles the extensions (expected one of them)"
            raise ConfigError(
                msg, hint=f"name them in {settings.cmake}: gpuwheel_add_extension(target {name} SOURCES ...)"
            )


def _check_torch(settings: Settings, origins: Mapping[str, str]) -> None:
    where = f"torch in {origins.get('torch', 'defaults')}"
    exact = [name for name, extension in settings.extensions.items() if extension.abi is TorchAbi.EXACT]
    for (specifier,) in settings.torch:
        if exact and specifier.operator != "==":
            msg = f"{where} is a floor and {exact[0]!r} is built for one torch (found {specifier}, expected ==X.Y.*)"
            raise ConfigError(msg, hint=f'torch = "=={specifier.version}.*", or abi = "stable"')
        if not exact and specifier.operator == "==":
            msg = f"{where} is one minor and no extension needs that (found {specifier}, expected a floor)"
            floor = specifier.version.removesuffix(".*")
            raise ConfigError(msg, hint=f'torch = ">={floor}": one wheel serves every torch from the floor on')


def _check_source_tables(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    if not settings.sources:
        return
    known = {
        path.relative_to(root).as_posix()
        for name, extension in settings.extensions.items()
        if extension.mode is Mode.NVCC
        for path in resolve_sources(root, extension.sources, dotted(("extensions", name, "sources")))
    }
    about = {pattern for path in known for pattern in settings.tables_about(path)}
    for pattern in settings.sources:
        if pattern not in about:
            shown = dotted(("sources", pattern))
            msg = f"{shown} in {origins.get(shown, 'pyproject.toml')} matches no source of an extension in mode 'nvcc'"
            hint = f"sources are {', '.join(sorted(known)[:8])}" if known else "remove it: no extension has that mode"
            raise ConfigError(msg, hint=hint)
