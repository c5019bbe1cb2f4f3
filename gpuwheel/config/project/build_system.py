"""`[build-system]` of pyproject.toml (PEP 517, PEP 518)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpuwheel.config.project.project_table import read_pyproject
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BuildSystem", "build_requirements", "read_build_system"]

_NAME = "gpuwheel"


@dataclass(frozen=True)
class BuildSystem:
    """What a frontend reads before it calls a build backend."""

    requires: tuple[Requirement, ...]
    """Without gpuwheel."""
    gpuwheel: tuple[Requirement, ...]
    """What is asked of gpuwheel itself."""
    backend: str
    backend_path: tuple[str, ...]
    """Folders of the project that the backend is imported from."""


def build_requirements(root: Path) -> tuple[str, ...]:
    """What the project's build needs beside gpuwheel, as it is written there.

    Raises:
        ConfigError: there is no pyproject.toml, or the list is not one of requirements (PEP 508).
    """
    table = _table(root)
    return tuple(text for text in _texts(table, "requires") if canonicalize_name(_requirement(text).name) != _NAME)


def read_build_system(root: Path) -> BuildSystem:
    """The whole table; PEP 517 says what a missing one stands for.

    Raises:
        ConfigError: there is no pyproject.toml, or the table is not one that PEP 517 allows.
    """
    table = _table(root)
    requires = [_requirement(text) for text in _texts(table, "requires")]
    return BuildSystem(
        requires=tuple(one for one in requires if canonicalize_name(one.name) != _NAME),
        gpuwheel=tuple(one for one in requires if canonicalize_name(one.name) == _NAME),
        backend=str(table.get("build-backend", "setuptools.build_meta:__legacy__")),
        backend_path=_texts(table, "backend-path"),
    )


def _table(root: Path) -> Mapping[str, object]:
    table = read_pyproject(root).get("build-system", {})
    return table if isinstance(table, dict) else {"requires": table}


def _texts(table: Mapping[str, object], key: str) -> tuple[str, ...]:
    texts = table.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        msg = f"build-system.{key} in pyproject.toml is not a list of texts (found {texts!r})"
        raise ConfigError(msg, hint='requires = ["gpuwheel"]')
    return tuple(texts)


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        msg = f"build-system.requires in pyproject.toml has an entry that is no requirement ({error})"
        raise ConfigError(msg, hint='write it as pip takes it, for example "numpy>=2"') from error
