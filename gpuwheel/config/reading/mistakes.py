"""How a mistake in the configuration is told: key, source, what was found, what is expected, the close match."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.config.reading.convert import Converter

__all__ = ["bad_value", "close_match", "dotted", "unknown"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: Sequence[str]) -> str:
    """A path as TOML writes it: `extensions."fused_ops._C".sources`."""
    return ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in path)


def close_match(word: str, known: Iterable[str], prefix: str = "") -> str | None:
    """The hint line for a word that is not among the known ones; `None` if none is close.

    What all of them begin with is no likeness: `prefix` is not compared.
    """
    match = difflib.get_close_matches(word.removeprefix(prefix), [name.removeprefix(prefix) for name in known], n=1)
    return f"did you mean {prefix + match[0]!r}?" if match else None


def unknown(word: str, known: Iterable[str], *, subject: str, hint: str | None = None, prefix: str = "") -> ConfigError:
    """`word` is none of the known ones; `subject` says what it was given for, with its source, and what is wrong."""
    names = sorted(known)
    return ConfigError(
        f"{subject} (found {word!r}, expected one of {', '.join(names)})",
        hint=close_match(word, names, prefix) or hint,
    )


def bad_value(
    path: Sequence[str], origin: str, found: object, converter: Converter, *, many: bool = False
) -> ConfigError:
    """A value of another type or form than the key takes."""
    expected = f"a list, each {converter.expected}" if many else converter.expected
    suggestion = converter.suggest(found) if isinstance(found, str) else None
    return ConfigError(
        f"{dotted(path)} in {origin} is not valid (found {_shown(found)}, expected {expected})",
        hint=f"did you mean {suggestion!r}?" if suggestion else converter.hint,
    )


def _shown(found: object) -> str:
    """A value with its type where the text alone would not tell."""
    if isinstance(found, str):
        return repr(found)
    kinds = {bool: "boolean", int: "number", float: "number", list: "list", dict: "table"}
    # As TOML writes it.
    shown = str(found).lower() if isinstance(found, bool) else found
    return f"the {kinds.get(type(found), type(found).__name__)} {shown}"
