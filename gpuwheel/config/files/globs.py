"""From the patterns of `sources` to files, and the folders of `include-dirs`."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._endings import DAMAGE, because, cut
from gpuwheel._limits import FILE_NAME, PATH_NAME, PATTERN_DEPTHS, PATTERN_PARTS
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["resolve_folders", "resolve_sources"]


def resolve_sources(root: Path, patterns: Sequence[str], key: str) -> tuple[Path, ...]:
    """The files that the patterns match, absolute and sorted, each once.

    Args:
        root: the project folder.
        patterns: globs relative to `root`; `**` crosses folders.
        key: which setting the patterns come from, for the message.

    Raises:
        ConfigError: a pattern matches no file, or is none.
    """
    found: set[Path] = set()
    for pattern in patterns:
        _check_length(pattern, key)
        try:
            # A name may itself hold what globs do: "a [1].cu" is that file, if there is one.
            matches = {root / pattern} if (root / pattern).is_file() else _matches(root, pattern)
        except (OSError, *DAMAGE) as error:
            msg = f"{key} holds what is not a pattern (found {cut(repr(pattern))}: {because(error)})"
            raise ConfigError(msg, hint='for example "csrc/*.cpp", relative to the project') from error
        if not matches:
            msg = f"{key} holds a pattern that matches no file (found {pattern!r}, expected files below the project)"
            raise ConfigError(msg, hint=_closest_file(root, pattern))
        found |= matches
    # Sorted by bytes of the path, and not as the disk lists it: the order of sources is the order of objects, and of
    # what a linker takes first.
    return tuple(sorted(found, key=lambda path: path.relative_to(root).as_posix()))


def _matches(root: Path, pattern: str) -> set[Path]:
    # A folder may be called "csrc.cu"; compilers read files.
    return {path for path in root.glob(pattern) if path.is_file()}


def resolve_folders(root: Path, folders: Sequence[str], key: str) -> tuple[Path, ...]:
    """The folders as absolute paths, in their order, which is the order of the search.

    Raises:
        ConfigError: one of them is not a folder.
    """
    for folder in folders:
        _check_length(folder, key)
        if not (root / folder).is_dir():
            msg = f"{key} names a folder that does not exist (found {folder!r}, expected one relative to the project)"
            raise ConfigError(msg, hint=_closest_file(root, folder))
    return tuple(root / folder for folder in folders)


def _check_length(path: str, key: str) -> None:
    """Before anything looks for it: each folder of a pattern is a step of a search."""
    parts = path.split("/")
    for limit, found in (
        (PATTERN_PARTS, len(parts)),
        (PATH_NAME, len(path)),
        # In bytes: NAME_MAX counts those, and a letter may have four.
        (FILE_NAME, max(len(os.fsencode(part)) for part in parts)),
        # Each "**" multiplies the folders that are walked.
        (PATTERN_DEPTHS, parts.count("**")),
    ):
        if found > limit.value:
            msg = f"{key} holds what is too long for a path (found {cut(repr(path))}: {limit.passed(str(found))})"
            raise ConfigError(msg, hint="shorten it")


def _closest_file(root: Path, pattern: str) -> str | None:
    """A neighbour with a similar name: walks down the pattern to where it leaves the tree, and looks there."""
    folder = root
    parts = Path(pattern).parts
    for index, part in enumerate(parts):
        if (folder / part).is_dir() and index < len(parts) - 1:
            folder /= part
            continue
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        if part in names:  # it is there, and of another kind
            there = (folder / part).relative_to(root).as_posix()
            return (
                f"{there} is a folder: the files in it are {there}/*"
                if (folder / part).is_dir()
                else f"{there} is a file"
            )
        close = difflib.get_close_matches(part, names, n=1)
        if close:
            return f"did you mean {(folder / close[0]).relative_to(root).as_posix()!r}?"
        where = "the project folder" if folder == root else folder.relative_to(root).as_posix()
        return f"{where} holds: {', '.join(names[:8]) or 'nothing'}"
    return None
