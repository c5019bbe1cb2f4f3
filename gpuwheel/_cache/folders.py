"""Folders to work in: private ones that are gone afterwards, and ones of a name. Each is locked while in use."""

from __future__ import annotations

import errno
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from gpuwheel._cache.refusals import named_errors
from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SCRATCH", "STAYS", "is_locked", "kept_folder", "locked", "named_folder", "scratch_folder"]

SCRATCH = "scratch-"
STAYS = "builds"
_WAIT_BEFORE_SAYING_SO = 1.0  # seconds
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def locked(path: Path, root: Path, on_wait: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock file `path` of the cache in `root`; of several processes one at a time.

    Raises:
        CacheError: the file system has no locks.
        OSError: the lock cannot be made.
    """
    lock = filelock.FileLock(path)
    try:
        # Most waits are for a rename: not worth a line.
        lock.acquire(timeout=_WAIT_BEFORE_SAYING_SO)
    except filelock.Timeout:
        if on_wait is not None:
            on_wait()
        lock.acquire()
    except NotImplementedError as error:
        msg = f"the cache folder {root} is on a file system without locks"
        raise CacheError(msg, hint="set GPUWHEEL_CACHE_DIR to a folder on a local disk") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def scratch_folder(parent: Path, root: Path) -> Iterator[Path]:
    """A private folder in `parent`, gone afterwards; where the cache may only be read, in the system's own place.

    Raises:
        CacheError: neither can be written.
    """
    with named_errors(root):
        folder = _temporary(parent)
        lock = filelock.FileLock(f"{folder.name}.lock")
        with suppress(NotImplementedError):  # on a file system without locks; then nobody sees that it is used
            lock.acquire()
    try:
        with folder as name:
            yield Path(name)
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _temporary(parent: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=SCRATCH, dir=parent)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return tempfile.TemporaryDirectory(prefix="gpuwheel-")


@contextmanager
def named_folder(parent: Path, name: str, root: Path) -> Iterator[Path]:
    """An empty folder in `parent` for whoever works under `name`: the same one each time, if nobody else does.

    Compilers are told its path, and caches of compilers (ccache) compare what they are told.

    Raises:
        CacheError: it cannot be made.
    """
    with named_errors(root):
        try:
            parent.mkdir(parents=True, exist_ok=True)
            lock, folder = _free(parent, name)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            lock = folder = None
    if folder is None or lock is None:
        with scratch_folder(parent, root) as private:
            yield private
        return
    try:
        with named_errors(root):
            shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
            folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _free(parent: Path, name: str) -> tuple[filelock.BaseFileLock | None, Path | None]:
    """The first folder of the name that nobody works in, and its lock."""
    for number in count(1):
        folder = parent / (f"{name}-{number}" if number > 1 else name)
        lock = filelock.FileLock(f"{folder}.lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            continue
        except NotImplementedError:  # no locks on this file system, so nobody knows who works where
            break
        return lock, folder
    return None, None


@contextmanager
def kept_folder(folder: Path, root: Path, on_wait: Callable[[], None] | None) -> Iterator[Path]:
    """The folder itself, which stays; if another process works in it, after that.

    Raises:
        CacheError: it cannot be made or locked.
    """
    with ExitStack() as stack:
        with named_errors(root):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder.with_suffix(".lock"), root, on_wait))
        yield folder


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock file."""
    if not path.is_file():
        return False
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    except (NotImplementedError, OSError):
        return False
    lock.release()
    return False
