"""What cuTile sources add to the configuration: laws of the kernel groups that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.config.model import Kernels
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gpuwheel.config.model import Settings

__all__ = ["check_cutile"]

_CUDA_KEYS = ("defines", "std")
"""Keys about CUDA C++."""


def check_cutile(name: str, settings: Settings, sources: Iterable[Path], origins: Mapping[str, str]) -> None:
    """Laws of the kernel group `name`, whose patterns name Python modules and match `sources`.

    Raises:
        ConfigError: other sources beside them, a key about CUDA C++, or a mode that cannot launch the kernels.
    """
    group, nothing = settings.kernels[name], Kernels(sources=())
    key = f"kernels.{name}"
    where = f"{key}.sources in {origins.get(f'{key}.sources', 'pyproject.toml')}"
    for source in sources:
        if source.suffix != ".py":
            msg = f"{where} has cuTile sources beside others (found {source.name!r}, expected Python modules alone)"
            raise ConfigError(msg, hint="a group has sources of one sort: add another [tool.gpuwheel.kernels.NAME]")
    for attribute in _CUDA_KEYS:
        if getattr(group, attribute) != getattr(nothing, attribute):
            shown = f"{key}.{attribute}"
            msg = f"{shown} in {origins.get(shown, 'pyproject.toml')} is for CUDA C++, and the group has cuTile sources"
            raise ConfigError(msg, hint="remove it")
    for path, extension in settings.extensions.items():
        if name in extension.kernels and extension.mode is not Mode.KERNELS:
            subject = dotted(("extensions", path))
            msg = f"{subject} in mode {extension.mode.value!r} has kernels of cuTile sources (found {name!r})"
            raise ConfigError(msg, hint='set mode = "kernels" for this extension: they are launched from Python')
