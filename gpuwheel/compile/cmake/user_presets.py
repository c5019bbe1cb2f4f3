"""`CMakeUserPresets.json`: the build of a frontend, for a terminal and for editors (cmake-presets(7), version 3)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import reading
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS_FILE", "PRESET_NAME", "presets_document"]

PRESETS_FILE = "CMakeUserPresets.json"
"""CMake's file for what is of this machine and this user; it belongs into .gitignore."""
PRESET_NAME = "gpuwheel"
_DEFINE = "cmake.define."


def presets_document(existing: bytes | None, settings: Mapping[str, str | list[str]], *, title: str) -> bytes:
    """The file with a configure and a build preset of ours, and with all else that it holds already.

    Args:
        existing: the file as it is.
        settings: the config-settings of a build.
        title: what an editor shows.

    Raises:
        ConfigError: what there is is no presets file.
    """
    document: dict[str, Any] = {"version": 3} if existing is None else _parsed(existing)
    defined = {key.removeprefix(_DEFINE): value for key, value in settings.items() if key.startswith(_DEFINE)}
    configure = {
        "name": PRESET_NAME,
        "displayName": title,
        "generator": "Ninja",
        "binaryDir": f"${{sourceDir}}/build/{PRESET_NAME}",
        # Where the inner backend collects a wheel; here `cmake --install` does.
        "cacheVariables": {
            "CMAKE_BUILD_TYPE": "Release",
            "SKBUILD_PLATLIB_DIR": "platlib",
            "SKBUILD_METADATA_DIR": "metadata",
            **defined,
        },
    }
    build = {"name": PRESET_NAME, "configurePreset": PRESET_NAME}
    for key, preset in (("configurePresets", configure), ("buildPresets", build)):
        # Presets of the user's stay, and so does their order.
        others = [it for it in document.get(key, []) if not (isinstance(it, dict) and it.get("name") == PRESET_NAME)]
        document[key] = [*others, preset]
    return (json.dumps(document, indent=2) + "\n").encode()


def _lists(document: dict[str, Any]) -> bool:
    return all(isinstance(document.get(key, []), list) for key in ("configurePresets", "buildPresets"))


def _parsed(existing: bytes) -> dict[str, Any]:
    hint = "mend it, or delete it: gpuwheel writes a new one"
    with reading(f"{PRESETS_FILE} is not JSON", "CMake presets", error=ConfigError, hint=hint):
        document = json.loads(existing)
    if not isinstance(document, dict) or not isinstance(document.get("version"), int) or not _lists(document):
        msg = f"{PRESETS_FILE} does not hold CMake presets (found no version, expected 3 or newer)"
        raise ConfigError(msg, hint=hint)
    return document
