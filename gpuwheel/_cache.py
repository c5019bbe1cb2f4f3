"""The cache on disk: `<root>/v1/{images,libraries,sdk,templates,toolchains,builds,tmp}`. Safe to share and to delete.

An entry appears by one rename, whole or not at all, so a reader needs no lock and works on a read-only cache. Its time
of modification is that of its last use, to the hour. A scratch folder and a kept one are locked while a build is in it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import filelock
import platformdirs

from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Cache", "Entry", "Kind"]

Kind: TypeAlias = Literal["images", "libraries", "sdk", "templates", "toolchains"]

_LAYOUT = "v1"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # "+" is in local versions
_UNWRITABLE = {
    errno.EACCES: "is not writable",
    errno.EPERM: "is not writable",
    errno.EROFS: "is on a read-only file system",
    errno.ENOSPC: "has no space left on its disk",
    errno.EDQUOT: "is over the disk quota",
    errno.EFBIG: "may not hold a file of this size",
    errno.ENOTDIR: "is not a folder",
    errno.EEXIST: "is not a folder",
    errno.ENOENT: "was deleted while in use",
}
_WAIT_BEFORE_SAYING_SO = 1.0  # seconds
_HOUR = 3600.0  # seconds
_BUILDS, _SCRATCH = "builds", "scratch-"


@dataclass(frozen=True)
class Entry:
    """What is under one key."""

    kind: str
    """A `Kind`, or "builds": folders that editable installs compile in."""
    key: str
    path: Path
    used: float
    """When it was used last, in seconds since 1970, to the hour."""


class Cache:
    """Content under keys. The owner of a kind makes the key from everything the content depends on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = root / _LAYOUT
        self._temporary = self._top / "tmp"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Cache:
        """The cache of this user: `GPUWHEEL_CACHE_DIR`, else the user cache folder (XDG)."""
        chosen = environ.get("GPUWHEEL_CACHE_DIR")
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        return cls(platformdirs.user_cache_path("gpuwheel"))

    def lookup(self, kind: Kind, key: str) -> Path | None:
        """The file or folder that was published under `key`, if any."""
        path = self._path(kind, key)
        return path if _touch(path) else None

    def publish_bytes(self, kind: Kind, key: str, data: bytes) -> Path:
        """Store `data` under `key`, replacing what was there, and return the file.

        Raises:
            CacheError: the cache cannot be written.
        """
        path = self._path(kind, key)
        with self._named_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir(exist_ok=True)
            temporary = self._temporary / f"{kind}-{key}.{secrets.token_hex(8)}"
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        return path

    def publish_tree(
        self,
        kind: Kind,
        key: str,
        fill: Callable[[Path], None],
        *,
        on_wait: Callable[[], None] | None = None,
    ) -> Path:
        """The folder under `key`; if there is none, `fill` gets an empty one to write into.

        Of several processes one fills and the others wait (`on_wait` is called once if it takes long) and get
        its result. What `fill` raises passes through, and nothing is published.

        Raises:
            CacheError: the cache cannot be written.
        """
        path = self._path(kind, key)
        if _touch(path):
            return path
        with self._named_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir(exist_ok=True)
            with self._locked(kind, key, on_wait):
                if path.exists():
                    return path
                # The lock makes this name ours: what is there was left by a process that was killed.
                temporary = self._temporary / f"{kind}-{key}"
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir()
                try:
                    fill(temporary)
                    os.sync()  # one flush, 0.1 s: an fsync for each of 2,000 headers takes 7 s on the same disk
                    _rename_unless_there(temporary, path)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
        return path

    def remove(self, kind: Kind, key: str) -> None:
        """Forget what is under `key`: it was found damaged.

        Raises:
            CacheError: the cache cannot be written.
        """
        path = self._path(kind, key)
        with self.scratch() as scratch, self._named_errors():
            try:
                path.rename(scratch / key)
            except FileNotFoundError:
                return

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder on the cache's disk, gone afterwards.

        Raises:
            CacheError: the cache cannot be written.
        """
        with self._named_errors():
            self._temporary.mkdir(parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self._temporary)
            lock = filelock.FileLock(f"{folder.name}.lock")
            with suppress(NotImplementedError):  # on a file system without locks; then nobody sees that it is used
                lock.acquire()
        try:
            with folder as name:
                yield Path(name)
        finally:
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    @contextmanager
    def workspace(self, name: str, *, wait: bool = False) -> Iterator[Path]:
        """A folder that stays: the one of `name`, or while another process works in that, a private one or `wait`.

        Raises:
            CacheError: the cache cannot be written.
        """
        key = hashlib.sha256(name.encode()).hexdigest()[:16]
        folder = self._top / _BUILDS / key
        with self._named_errors():
            folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder.with_suffix(".lock"))
        try:
            lock.acquire(blocking=wait)
        except filelock.Timeout:
            with self.scratch() as scratch:
                yield scratch
            return
        try:
            _touch(folder)
            yield folder
        finally:
            lock.release()

    def entries(self) -> Iterator[Entry]:
        """Everything that is published, and the folders that are kept; those in use too."""
        for folder in sorted(self._top.glob("*/*")):
            kind = folder.parent.name
            if kind != self._temporary.name and folder.suffix != ".lock":
                with suppress(FileNotFoundError):  # deleted meanwhile
                    yield Entry(kind, folder.name, folder, folder.stat().st_mtime)

    def busy(self) -> bool:
        """Whether a build is running in this cache, on this machine or another that shares its locks."""
        return any(_is_locked(lock) for lock in self._top.glob("*/*.lock"))

    def leftovers(self) -> Iterator[Path]:
        """What killed processes left, older than an hour: scratch folders, downloads that nobody continued.

        Locks of entries stay: a process that is about to wait for one may have opened it already.
        """
        for path in sorted(self._temporary.glob("*")):
            if path.suffix == ".lock" and not path.name.startswith(_SCRATCH):
                continue
            owner = path.with_name(f"{path.name.removesuffix('.downloads').removesuffix('.lock')}.lock")
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _HOUR and not _is_locked(owner):
                    yield path

    def discard(self, entry: Entry) -> bool:
        """Delete an entry, unless it is a folder that a build is in; say whether it is gone.

        Raises:
            CacheError: the cache cannot be written.
        """
        lock = entry.path.with_suffix(".lock")
        if entry.kind == _BUILDS and _is_locked(lock):
            return False
        with self.scratch() as scratch, self._named_errors(), suppress(FileNotFoundError):
            entry.path.rename(scratch / entry.key)
        return True

    def _path(self, kind: Kind, key: str) -> Path:
        if _KEY.fullmatch(key) is None:
            msg = f"{key!r} is not a cache key"
            raise ValueError(msg)
        return self._top / kind / key

    @contextmanager
    def _locked(self, kind: Kind, key: str, on_wait: Callable[[], None] | None) -> Iterator[None]:
        lock = filelock.FileLock(self._temporary / f"{kind}-{key}.lock")
        try:
            lock.acquire(timeout=_WAIT_BEFORE_SAYING_SO)
        except filelock.Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire()
        except NotImplementedError as error:
            msg = f"the cache folder {self.root} is on a file system without locks"
            raise CacheError(msg, hint="set GPUWHEEL_CACHE_DIR to a folder on a local disk") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = _UNWRITABLE.get(error.errno or 0)
            elsewhere = error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(self.root)
            if reason is None or elsewhere:
                raise
            msg = f"the cache folder {self.root} {reason} ({error.strerror})"
            hint = "set GPUWHEEL_CACHE_DIR to a writable folder with some space; a few hundred MB are enough"
            raise CacheError(msg, hint=hint) from error


def _touch(path: Path) -> bool:
    """Note that an entry is used, and say whether it is there."""
    try:
        used = path.stat().st_mtime
    except OSError:
        return False
    if used < time.time() - _HOUR:
        with suppress(OSError):  # read-only
            os.utime(path)
    return True


def _is_locked(path: Path) -> bool:
    if not path.exists():
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


def _rename_unless_there(source: Path, target: Path) -> None:
    """Rename a folder; a full one at `target` wins (locks do not hold on every network file system)."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
