"""Digests of files, remembered with what `stat` said of them: what did not change is not read again.

The index is an entry of the cache like any other: a damaged one is as good as none, and nothing is lost with it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, TypeAlias

from gpuwheel.compile.reuse.comments import without_comments
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from gpuwheel._cache import Cache

__all__ = ["YOUNG", "FileIndex", "State", "state_of"]

State: TypeAlias = "tuple[int, int, int, int]"
"""Size in bytes, inode, time of modification and time of change in ns (stat(2)). The last one nobody can set back."""

YOUNG = 2_000_000_000
"""ns. What changed less than this before its digest may change once more within one tick of its file system's clock."""
_SECOND = 1_000_000_000
"""ns. File systems with whole seconds alone (FAT, images such as squashfs) make up the time of change from another."""
_MOST = 20_000
"""Files of one index: about 3 MB."""
_BLOCK = 1 << 20
_EMPTIED = "\0without comments"
"""After a path: a row of the file's text with its comments emptied."""


def state_of(path: str) -> State | None:
    """What `stat` says of a regular file; `None` if there is none at `path`."""
    try:
        found = os.stat(path)  # noqa: PTH116 (thousands of files: Path objects would take most of the time)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return (found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


class FileIndex:
    """What files held when they were read last."""

    def __init__(self, cache: Cache, name: str) -> None:
        """`name`: of its own index, for what is used together; the smaller, the faster."""
        self._store = ContentStore(cache, "libraries")
        self._key = f"index-{name}"
        stored = self._store.load(self._key)
        self._known: dict[str, list[object]] = {} if stored is None else stored.facts["files"]
        self._used: dict[str, list[object]] = {}
        self._seen: dict[tuple[str, bool], str | None] = {}
        self._is_new = False

    def digest(self, path: str, *, comments: bool = True) -> str | None:
        """The sha256 of a regular file, as it is the first time it is asked for; `None` if there is none at `path`.

        Args:
            path: absolute.
            comments: whether what the comments of a source say counts; else of the text with these emptied.
        """
        if (path, comments) not in self._seen:
            self._seen[path, comments] = self._digest(path, comments=comments)
        return self._seen[path, comments]

    def forget(self) -> None:
        """Look again at every file that is asked for: some may have changed."""
        self._seen.clear()

    def save(self) -> None:
        """Keep the index for the next build; where the cache may only be read, that one digests again."""
        if not self._is_new:
            return
        rest = {path: row for path, row in self._known.items() if path not in self._used}
        rows = [*self._used.items(), *rest.items()][:_MOST]
        with suppress(CacheError):
            self._store.save(self._key, Stored({"files": dict(rows)}, b""))
        self._is_new = False

    def _digest(self, path: str, *, comments: bool) -> str | None:
        state = state_of(path)
        if state is None:
            return None
        name = path if comments else f"{path}{_EMPTIED}"
        row = self._known.get(name)
        if row is not None and tuple(row[:4]) == state:
            self._used[name] = row
            return str(row[4])
        now = time.time_ns()
        digest = _sha256(path) if comments else _sha256_emptied(path)
        tells_changes = state[3] % _SECOND != 0
        if digest is not None and tells_changes and max(state[2:]) < now - YOUNG and state_of(path) == state:
            self._used[name] = self._known[name] = [*state, digest]
            self._is_new = True
        return digest


def _sha256(path: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with _opened(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _sha256_emptied(path: str) -> str | None:
    try:
        with _opened(path) as file:
            return hashlib.sha256(without_comments(file.read())).hexdigest()
    except OSError:
        return None


def _opened(path: str) -> FileIO:
    return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
