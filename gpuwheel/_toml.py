"""The only reader of TOML: `read_toml` and `parse_toml` for what users, indexes and other tools wrote, within bounds;
`own_table` for the tables that ship in the package.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from gpuwheel._limits import CONFIG_FILE, TOML_PARTS
from gpuwheel._resources import resource

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["own_table", "parse_toml", "read_toml"]

# Starts where a word starts, and each part begins as no other does: no text is looked at more often than parts allow.
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_MANY_PARTS = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}){{{TOML_PARTS.value}}}")


def own_table(name: str) -> dict[str, Any]:
    """The table `gpuwheel/data/NAME`, which the package trusts: it has no bounds, and its owner checks its laws.

    Raises:
        ValueError: it is no TOML: the installation is damaged.
        OSError: it is missing or cannot be read.
    """
    return tomllib.loads(resource("data", name).read_text(encoding="utf-8"))


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a file from outside.

    Raises:
        ValueError: it is no TOML (`tomllib.TOMLDecodeError`, `UnicodeDecodeError`), or passes a bound.
        RecursionError: it is nested too deeply.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        # One byte more than is allowed, so that a file which is too long shows, whatever its size on disk says.
        return parse_toml(file.read(CONFIG_FILE.value + 1))


def parse_toml(data: bytes) -> dict[str, Any]:
    """The document in `data`, from outside; raises what `read_toml` raises but for `OSError`."""
    if len(data) > CONFIG_FILE.value:
        msg = CONFIG_FILE.passed("more")
        raise ValueError(msg)
    text = data.decode()
    if _MANY_PARTS.search(text):  # `a.a.a...` takes the parser quadratic time
        msg = f"a name of too many parts, {TOML_PARTS.passed('more')}"
        raise ValueError(msg)
    return tomllib.loads(text)
