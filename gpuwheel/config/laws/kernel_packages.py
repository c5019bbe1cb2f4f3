"""What mode `kernels` adds to the configuration: laws of its extensions, and what the wheel requires for launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuwheel.config.model import Extension
from gpuwheel.config.reading.defaults import launcher_requirement
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.config.model import ProjectFacts, Settings

__all__ = ["check_kernels_mode", "check_launcher", "launch_requirements", "uses_kernels_mode"]

_HOST_KEYS = ("sources", "include_dirs", "defines", "flags", "link_flags", "std")
"""Keys about host code, of which this mode has none."""


def uses_kernels_mode(settings: Settings) -> bool:
    """Whether the wheel is one without host code."""
    return any(extension.mode is Mode.KERNELS for extension in settings.extensions.values())


def launch_requirements(settings: Settings) -> tuple[str, ...]:
    """What launches need at run time: cuda-core, where it exists; its bindings come with the user's torch."""
    return (launcher_requirement(),) if uses_kernels_mode(settings) else ()


def check_kernels_mode(settings: Settings, origins: Mapping[str, str]) -> None:
    """Laws of the mode.

    Raises:
        ConfigError: extensions of this mode beside others, with keys about host code, or without kernels; sources that
            are missing in another mode; a platform, which a wheel without host code does not have.
    """
    for name, extension in settings.extensions.items():
        key = dotted(("extensions", name))
        if extension.mode is not Mode.KERNELS:
            if extension.toolkits:
                where = origins.get(f"{key}.toolkits", "pyproject.toml")
                msg = f"{key}.toolkits in {where} is not for mode {extension.mode.value!r}"
                raise ConfigError(msg, hint='remove it, or set mode = "kernels" for this extension')
            if not extension.sources and settings.cmake is None:
                msg = f"{key} in {origins.get(key, 'pyproject.toml')} has no sources (expected sources = [...])"
                raise ConfigError(msg, hint=f"add sources to [{dotted(('tool', 'gpuwheel', 'extensions', name))}]")
            continue
        _check_keys(key, extension, origins)
    modes = {extension.mode for extension in settings.extensions.values()}
    if Mode.KERNELS not in modes:
        return
    if len(modes) > 1:
        found = ", ".join(sorted(mode.value for mode in modes))
        msg = f"extensions of mode 'kernels' stand beside others (found {found}, expected kernels alone)"
        raise ConfigError(msg, hint="a library makes the wheel a Linux one anyway: launch these kernels from it")
    if "wheel.platform" in origins:
        where = f"wheel.platform in {origins['wheel.platform']}"
        msg = f"{where} is not for mode 'kernels' (found {settings.wheel.platform!r}, expected none)"
        raise ConfigError(msg, hint="remove it: a wheel without host code is py3-none-any")


def check_launcher(project: ProjectFacts, settings: Settings) -> None:
    """A project that states its dependencies itself must state what launches need.

    Raises:
        ConfigError: it does not.
    """
    for text in launch_requirements(settings) if project.dependencies is not None else ():
        wanted = canonicalize_name(Requirement(text).name)
        if all(canonicalize_name(Requirement(stated).name) != wanted for stated in project.dependencies or ()):
            msg = f"project.dependencies in pyproject.toml lacks {wanted}, which launches the kernels of mode 'kernels'"
            raise ConfigError(msg, hint=f"add '{text}', or leave dependencies to gpuwheel (dynamic)")


def _check_keys(key: str, extension: Extension, origins: Mapping[str, str]) -> None:
    # Compared with the defaults: a key that says nothing new does no harm in any mode.
    nothing = Extension()
    for attribute in _HOST_KEYS:
        if getattr(extension, attribute) != getattr(nothing, attribute):
            shown = f"{key}.{attribute.replace('_', '-')}"
            msg = f"{shown} in {origins.get(shown, 'pyproject.toml')} is not for mode 'kernels', which has no host code"
            raise ConfigError(msg, hint='remove it, or set mode = "embed"')
    if not extension.kernels:
        msg = f"{key} in {origins.get(key, 'pyproject.toml')} has no kernels (expected one group or more)"
        raise ConfigError(msg, hint='kernels = ["NAME"] of a table [tool.gpuwheel.kernels.NAME]')
