"""Digests of files, remembered with what `stat` said of them: what did not change is not read again.

The index is an entry of the cache like any other: a damaged one is as good as none, and nothing is lost with it.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gpuwheel._cache.file_state import is_settled, opened, state_of
from gpuwheel._files import sha256_of
from gpuwheel.compile.reuse.comments import without_comments
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from gpuwheel._cache import Cache

__all__ = ["FileIndex"]

_SECOND = 1_000_000_000
"""ns. File systems with whole seconds alone (FAT, images such as squashfs) make up the time of change from another."""
_MOST = 20_000
"""Files of one index: about 3 MB."""
_EMPTIED = "\0without comments 2"
"""After a path: a row of the file's text with its comments emptied."""


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
        # What this build used comes first: the rest is what is cut off.
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
        # A time with a fraction is of a file system that has them; one without, even by chance, is read again.
        tells_changes = state[3] % _SECOND != 0
        if digest is not None and tells_changes and is_settled(state, now) and state_of(path) == state:
            self._used[name] = self._known[name] = [*state, digest]
            self._is_new = True
        return digest


def _sha256(path: str) -> str | None:
    try:
        with opened(path) as file:
            return sha256_of(file)
    except OSError:
        return None


def _sha256_emptied(path: str) -> str | None:
    try:
        with opened(path) as file:
            return hashlib.sha256(without_comments(file.read())).hexdigest()
    except OSError:
        return None
