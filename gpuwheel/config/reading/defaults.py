"""Defaults that are data, frozen by `minimum-version`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from gpuwheel._toml import own_table
from gpuwheel.config.reading.sources import Given, from_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["default_texts", "defaults_for", "launcher_requirement", "oldest_python"]


@functools.cache
def _document() -> Mapping[str, Any]:
    return own_table("defaults.toml")


def oldest_python() -> str:
    """The oldest Python that gpuwheel builds for, for example "3.10"."""
    return str(_document()["oldest-python"])


def launcher_requirement() -> str:
    """What a wheel without host code launches its kernels with (PEP 508)."""
    return str(_document()["launcher"])


def default_texts(minimum_version: Version | None = None, mode: str | None = None) -> Mapping[str, object]:
    """Key -> default as TOML writes it, as it was in the version that the project was written for. Tables have dots.

    A version older than the first row gets the first row. A mode has some defaults of its own.
    """
    rows = sorted(_document()["defaults"], key=lambda row: Version(row["since"]))
    fitting = [row for row in rows if minimum_version is None or Version(row["since"]) <= minimum_version]
    row = fitting[-1] if fitting else rows[0]
    own = row.get(mode, {})
    general = {name: value for name, value in row.items() if name != "since" and not isinstance(value, dict)}
    return {**general, **own}


def defaults_for(minimum_version: Version | None, mode: str | None = None) -> dict[tuple[str, ...], Given]:
    """The typed defaults by path, for projects in one mode."""
    nested: dict[str, Any] = {}
    for name, value in default_texts(minimum_version, mode).items():
        table, _, key = name.rpartition(".")
        (nested.setdefault(table, {}) if table else nested)[key] = value
    return from_toml(nested, "defaults")
