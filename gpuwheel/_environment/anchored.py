"""Relative paths in variables: they mean the project, in which frontends run the hooks (PEP 517), wherever we are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._environment.table import document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["anchored"]

_BETWEEN = {"paths": None, "folders": "(:)", "words": r"([\s,]+)", "programs": r"([\s;]+)"}
"""Kind of a variable -> what stands between the paths in it."""


def anchored(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """`environ` with absolute paths in the variables that gpuwheel itself reads paths from; of what is one, the same.

    Args:
        environ: the environment.
        root: the project, absolute.
    """
    made = dict(environ)
    if environ.get("HOME") and not environ["HOME"].startswith("/") and environ.get("XDG_CONFIG_HOME", "")[:1] != "/":
        # Once HOME is absolute, nobody sees that it is the project, which must not speak as the user.
        made["XDG_CONFIG_HOME"] = "/.config"
    for kind, between in _BETWEEN.items():
        for name in document()["relative"][kind]:
            value = environ.get(name)
            if value:
                # With a group, re.split keeps what stands between: the value is put together as it was.
                pieces = re.split(between, value) if between and not _names_program(kind, value, root) else [value]
                made[name] = "".join(piece if i % 2 else _absolute(kind, piece, root) for i, piece in enumerate(pieces))
    return made


def _absolute(kind: str, piece: str, root: Path) -> str:
    """A path, where it is a relative one; an empty one in a list of folders stands for the current folder (POSIX)."""
    if piece.startswith(("/", "~")) or (kind == "programs" and not _names_program(kind, piece, root)):
        return piece
    if kind == "words" and not (piece and (root / piece).exists()):  # a URL, or nothing that anybody could read
        return piece
    return str(root / piece)


def _names_program(kind: str, text: str, root: Path) -> bool:
    """Whether it is a program by its path (without a slash, it is looked for on PATH), which may hold blanks."""
    return kind == "programs" and "/" in text and (root / text).is_file()
