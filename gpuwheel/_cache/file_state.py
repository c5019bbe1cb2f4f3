"""What `stat` says of a file, whether that may be believed later, and reading files that may be anything by now.

A file that is as it was is not read again. One that changed less than `YOUNG` before it was read is not believed: it
could change once more within the same tick of its file system's clock, and `stat` would say the same.
"""

from __future__ import annotations

import os
import stat
from io import FileIO
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["YOUNG", "State", "content_of", "is_settled", "opened", "state_in", "state_of"]

State: TypeAlias = "tuple[int, int, int, int]"
"""Size in bytes, inode, time of modification and time of change in ns (stat(2)). The last one nobody can set back."""

YOUNG = 2_000_000_000  # ns


def state_of(path: str) -> State | None:
    """What `stat` says of a regular file; `None` if there is none at `path`."""
    try:
        found = os.stat(path)  # noqa: PTH116 (thousands of files: Path objects would take most of the time)
    except (OSError, ValueError):
        return None
    return state_in(found) if stat.S_ISREG(found.st_mode) else None


def state_in(status: os.stat_result) -> State:
    """What of an answer of `stat` tells whether a file is as it was."""
    return (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def is_settled(state: State, now: int) -> bool:
    """Whether any later change shows; `now`: before the file was read, in ns since 1970."""
    return max(state[2:]) < now - YOUNG


def opened(path: Path | str, flags: int = 0) -> FileIO:
    """A file to digest, whose end comes: at a pipe nobody waits, for it may have no writer.

    Raises:
        OSError: it cannot be opened.
    """
    return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags))


def content_of(path: Path) -> bytes | None:
    """What a regular file holds; `None` if there is none that can be read, for it may be deleted at any time."""
    try:
        with opened(path) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None
