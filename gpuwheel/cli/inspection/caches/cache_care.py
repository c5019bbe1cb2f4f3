"""What `gpuwheel cache` does: how large entries are, whether they are whole, which may go."""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel._cache import Entry, content_problem
from gpuwheel._cache.file_state import content_of
from gpuwheel.compile.reuse.store import is_whole
from gpuwheel.toolchain.headers import headers_problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache

__all__ = ["Pruned", "choose", "damage", "delete_damaged", "measured", "obstacles", "prune", "size"]

_PLACES = ("v1", "tmp", "builds")
_BYTES = ("images", "libraries")
_FOLDERS = ("environments", "layers", "sdk", "sources", "templates", "toolchains", "wheels")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOUR, _DAY = 3600.0, 86400.0  # seconds


def size(path: Path, most_files: int | None = None) -> int | None:
    """Bytes of a file, or of the files below a folder; `None`: there are more than `most_files`, and nobody waits.

    What disappears meanwhile counts as nothing.
    """
    if not path.is_dir():
        with suppress(OSError):
            return path.lstat().st_size
        return 0
    total = files = 0
    for parent, _, names in os.walk(path):
        files += len(names)
        if most_files is not None and files > most_files:
            return None
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118  # Path objects would take longer
    return total


def measured(cache: Cache) -> dict[Entry, int]:
    """Every entry with its size, the longest unused first."""
    return {entry: size(entry.path) or 0 for entry in sorted(cache.entries(), key=lambda entry: entry.used)}


def damage(entry: Entry) -> str | None:
    """What is wrong with an entry, all of it read; "" if nothing is, and `None` if nobody can know.

    Builds work in the folders of editable installs, so those have no one content.
    """
    if entry.kind == "builds" and entry.path.suffix != ".lock":
        return None if entry.path.is_dir() else "it is not a folder"
    if entry.kind in _BYTES:
        content = content_of(entry.path)
        if content is None:
            return "it is not a file that can be read"
        return "" if is_whole(content) else "its content is not what was stored"
    if entry.kind in _FOLDERS:
        is_headers = entry.kind == "sdk" and _DIGEST.fullmatch(entry.key)
        return (headers_problem if is_headers else content_problem)(entry.path) or ""
    if entry.kind in _PLACES:
        return "it stands where the cache needs a folder or a lock file"
    return "the cache keeps nothing of this kind"


def obstacles(cache: Cache) -> list[Entry]:
    """What stands in the way of the cache's own folders and locks."""
    return [Entry(path.parent.name, path.name, path, path.lstat().st_mtime) for path in cache.obstacles()]


def delete_damaged(cache: Cache, entry: Entry) -> bool:
    """Delete an entry if it still is damaged, and say whether it is gone; another process may have mended it.

    Raises:
        CacheError: the cache cannot be written.
    """
    if entry in obstacles(cache):
        _delete(entry.path)
        return not os.path.lexists(entry.path)
    return cache.discard(entry, only_if=lambda path: damage(replace(entry, path=path)))


@dataclass(frozen=True)
class Pruned:
    """What was deleted, or would be."""

    entries: dict[Entry, int]
    leftovers: dict[Path, int]
    """Of processes that were killed."""
    kept: int
    """Entries that would have gone too, but that a running build may be using."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(self.entries.values()) + sum(self.leftovers.values())


def choose(entries: dict[Entry, int], *, unused_since: float | None, most: int | None) -> list[Entry]:
    """The entries that are to go.

    Args:
        entries: with their sizes, the longest unused first.
        unused_since: those that were last used before this time, in seconds since 1970.
        most: of the others the longest unused, until so many bytes are left.
    """
    old = [entry for entry in entries if unused_since is not None and entry.used < unused_since]
    left = sum(entries.values()) - sum(entries[entry] for entry in old)
    for entry, bytes_ in entries.items():
        if most is None or left <= most:
            break
        if entry not in old:
            old.append(entry)
            left -= bytes_
    return old


def prune(cache: Cache, chosen: Sequence[Entry], sizes: dict[Entry, int], *, dry_run: bool) -> Pruned:
    """Delete entries and what killed processes left, but nothing that a running build may be using.

    That is what was used within the last hour, or within the last day while some build runs.

    Raises:
        CacheError: the cache cannot be written.
    """
    # Times of use are kept to the hour, and a build may hold a folder for hours without touching it again.
    newest = time.time() - (_DAY if cache.busy() else _HOUR)
    free = [entry for entry in chosen if entry.used < newest]
    leftovers = {path: size(path) or 0 for path in cache.leftovers()}
    gone = free if dry_run else [entry for entry in free if cache.discard(entry)]
    if not dry_run:
        for path in leftovers:
            _delete(path)
    return Pruned({entry: sizes[entry] for entry in gone}, leftovers, len(chosen) - len(gone))


def _delete(path: Path) -> None:
    # A link is taken away, and not what it leads to.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
