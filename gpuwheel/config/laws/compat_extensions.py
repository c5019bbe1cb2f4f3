"""What `abi = "compat"` adds to the configuration: laws between its keys, and with the files of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.config.files.products import is_generated
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import PythonAbi, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.config.model import Settings

__all__ = ["check_compat"]

_FOLDERS = ("", "src", "python")
"""Where scikit-build-core looks for packages (wheel.packages)."""


def check_compat(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    """Laws of extensions whose Python module gpuwheel makes.

    Raises:
        ConfigError: `python` beside it; another extension that ties the wheel to one torch; a CMakeLists.txt of the
            project's; a file of the wheel that is made twice.
    """
    compat = [name for name, extension in settings.extensions.items() if extension.abi is TorchAbi.COMPAT]
    exact = [name for name, extension in settings.extensions.items() if extension.abi is TorchAbi.EXACT]
    for name in compat:
        _check_module(name, settings, origins)
        if exact:
            shown = dotted(("extensions", exact[0], "abi"))
            why = f"ties the wheel to one torch, and {name!r} is for every torch"
            msg = f"{shown} in {_place(shown, origins)} {why} (found 'exact' beside 'compat', expected one of them)"
            other = f'abi = "compat" for {exact[0]!r}, if gpuwheel plan finds nothing in its way'
            raise ConfigError(msg, hint=f'abi = "exact" for {name!r} too, or {other}')
        if settings.cmake is not None:
            where = f"cmake in {_place('cmake', origins)}"
            msg = f'{where} compiles {name!r}, for which abi = "compat" is not made (expected sources)'
            raise ConfigError(msg, hint=f"name its sources in {dotted(('extensions', name))}, without cmake")
        _check_files(name, settings, root)


def _check_module(name: str, settings: Settings, origins: Mapping[str, str]) -> None:
    abi = settings.extensions[name].python
    if abi is not PythonAbi.NONE:
        shown = dotted(("extensions", name, "python"))
        why = 'stands beside abi = "compat", whose module serves every Python'
        msg = f"{shown} in {_place(shown, origins)} {why} (found {abi.value!r}, expected no such key)"
        raise ConfigError(msg, hint="remove it")


def _check_files(name: str, settings: Settings, root: Path) -> None:
    """What is made beside the module must not be there: `pkg/NAME.py`, and `pkg/libNAME.so` of another extension."""
    *package, last = name.split(".")
    library = ".".join((*package, f"lib{last}"))
    if library in settings.extensions:
        file = "/".join((*package, f"lib{last}.so"))
        msg = f"extensions {name!r} and {library!r} collide (both would be the file {file})"
        raise ConfigError(msg, hint="rename one of them")
    for folder in _FOLDERS:
        path = "/".join((*((folder,) if folder else ()), *package, f"{last}.py"))
        # What an editable install or gpuwheel dev put there is no file of the project's.
        if (root / path).is_file() and not is_generated(root / path):
            msg = f'{path} has the name of the module that abi = "compat" makes for {name!r} (expected no such file)'
            raise ConfigError(msg, hint="rename the file, or the extension")


def _place(key: str, origins: Mapping[str, str]) -> str:
    return origins.get(key, "pyproject.toml")
