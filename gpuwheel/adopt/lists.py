"""Lists, as setuptools takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["line", "lines", "typed", "words"]

_TABLES = {"project_urls", "package_dir", "package_data", "exclude_package_data", "extras_require"}
_OF_TEXTS = {"project_urls", "package_dir"}
_LISTS = {"cmake_args"}


def words(value: object) -> list[str]:
    """A list, or a string of words with commas or blanks between them."""
    return value.replace(",", " ").split() if isinstance(value, str) else _strings(value)


def lines(value: object) -> list[str]:
    """A list, or a string of lines."""
    if isinstance(value, str):
        return [text.strip() for text in value.splitlines() if text.strip()]
    return _strings(value)


def line(value: object) -> str:
    """A string without breaks; empty for nothing."""
    return " ".join(str(value or "").split())


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def typed(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Keywords whose values are of the kind that setuptools takes, and the names of the others."""
    found: dict[str, Any] = {}
    strange = []
    for key, value in given.items():
        if value is None:
            continue
        if (key in _TABLES and not isinstance(value, dict)) or (key in _LISTS and not isinstance(value, list)):
            strange.append(key)
        elif key in _OF_TEXTS:
            found[key] = {name: text for name, text in value.items() if isinstance(text, str)}
        else:
            found[key] = value
    return found, strange
