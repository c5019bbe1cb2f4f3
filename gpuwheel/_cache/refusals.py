"""Why a cache cannot be written or used, in the same words wherever it is noticed."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AGAIN", "check_programs", "named_errors", "refusal"]

_ELSEWHERE = "set GPUWHEEL_CACHE_DIR to a writable folder with some space; a few hundred MB are enough"
AGAIN = "build again, and leave the cache alone meanwhile (gpuwheel cache prune is safe beside builds)"
_MEND = "gpuwheel cache verify --fix"
_REASONS = {
    errno.EACCES: ("is not writable", _ELSEWHERE),
    errno.EPERM: ("is not writable", _ELSEWHERE),
    errno.EROFS: ("is on a read-only file system", _ELSEWHERE),
    errno.ENOSPC: ("has no space left on its disk", _ELSEWHERE),
    errno.EDQUOT: ("is over the disk quota", _ELSEWHERE),
    errno.EFBIG: ("may not hold a file of this size", _ELSEWHERE),
    errno.EIO: ("is on a disk with errors", _ELSEWHERE),
    errno.ENOTDIR: ("is not a folder", _ELSEWHERE),
    errno.EEXIST: ("is not a folder", _ELSEWHERE),
    errno.ENOENT: ("was deleted while in use", AGAIN),
    errno.ENOTEMPTY: ("has something else in the place of an entry", _MEND),
    errno.EISDIR: ("has a folder in the place of a file", _MEND),
}


def _error(root: Path, number: int, place: str = "") -> CacheError:
    text = os.strerror(number)
    reason, hint = _REASONS.get(number, ("cannot be used", _MEND))
    return CacheError(f"the cache folder {root} {reason} ({text}{place})", hint=hint)


@contextmanager
def named_errors(root: Path) -> Iterator[None]:
    """Say what is wrong with the cache in `root` where a system call on it fails.

    Raises:
        CacheError: one did. What other paths caused passes through.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        if error.filename is None:
            if number not in _REASONS:
                raise
            raise _error(root, number) from error
        place = Path(os.fsdecode(error.filename))
        if not (place.is_relative_to(root) or root.is_relative_to(place)):
            raise
        within = f": {place}" if _REASONS.get(number, ("", _MEND))[1] == _MEND else ""
        raise _error(root, number, within) from error


def refusal(root: Path) -> CacheError | None:
    """What a build would say that has to write into the cache in `root`; `None`: nothing. It is only looked at."""
    existing = next(folder for folder in (root, *root.parents) if os.path.lexists(folder))
    if not existing.is_dir():
        return _error(root, errno.ENOTDIR)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        return _error(root, errno.EROFS)
    return None if os.access(existing, os.W_OK | os.X_OK) else _error(root, errno.EACCES)


def check_programs(root: Path, what: str) -> None:
    """See that programs in the cache in `root`, and libraries that programs load, can be used.

    Raises:
        CacheError: its file system is mounted `noexec` (`mount(8)`); `what` would have to run from there.
    """
    # The cache may not be made yet: it will be on the file system of the nearest folder above.
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    if os.statvfs(existing).f_flag & os.ST_NOEXEC:
        msg = f"the cache folder {root} is on a file system that starts no programs (mounted noexec; {what} runs there)"
        raise CacheError(msg, hint="set GPUWHEEL_CACHE_DIR to a folder on another file system")
