"""Lists, as setuptools takes them."""

from __future__ import annotations

__all__ = ["line", "lines", "words"]


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
