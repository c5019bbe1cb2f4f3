"""`[build-system] requires` of pyproject.toml (PEP 518)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpuwheel.config.project.project_table import read_pyproject
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["build_requirements"]


def build_requirements(root: Path) -> tuple[str, ...]:
    """What the project's build needs beside gpuwheel, as it is written there.

    Raises:
        ConfigError: there is no pyproject.toml, or the list is not one of requirements (PEP 508).
    """
    table = read_pyproject(root).get("build-system", {})
    texts = table.get("requires", []) if isinstance(table, dict) else None
    if not isinstance(texts, list):
        msg = f"build-system.requires in pyproject.toml is not a list (found {texts!r})"
        raise ConfigError(msg, hint='requires = ["gpuwheel"]')
    return tuple(str(text) for text in texts if _name(text) != "gpuwheel")


def _name(text: object) -> str:
    try:
        return canonicalize_name(Requirement(str(text)).name)
    except InvalidRequirement as error:
        msg = f"build-system.requires in pyproject.toml has an entry that is no requirement ({error})"
        raise ConfigError(msg, hint='write it as pip takes it, for example "numpy>=2"') from error
