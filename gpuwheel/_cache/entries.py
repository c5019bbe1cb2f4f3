"""The cache on disk: `<root>/v1/KIND/KEY`, `<root>/v1/builds` and `<root>/v1/tmp`. It is safe to share and to delete.

An entry appears by one rename, whole or not at all, so a reader needs no lock and works on a read-only cache. Its time
of modification is that of its last use, to the hour. A folder is sealed (`seals`), and looked over on each use; a
damaged one is made again under its lock, so that no process takes away what another has just mended. A folder to work
in is locked while a build is in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import platformdirs

from gpuwheel._cache.file_state import content_of
from gpuwheel._cache.folders import SCRATCH, STAYS, is_locked, kept_folder, locked, named_folder, scratch_folder
from gpuwheel._cache.refusals import AGAIN, named_errors
from gpuwheel._cache.seals import content_problem, seal
from gpuwheel._files import atomic_file
from gpuwheel._process import environment
from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpuwheel._cache.tiers import Tier

__all__ = ["Cache", "Entry", "Kind"]

Kind: TypeAlias = Literal[
    "environments",
    "images",
    "layers",
    "libraries",
    "sdk",
    "sources",
    "templates",
    "toolchains",
    "wheels",
]
_Check: TypeAlias = "Callable[[Path], str | None]"

_LAYOUT = "v1"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # "+" is in local versions
_HOUR = 3600.0  # seconds
_NAMED = "build-"


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
        self._handed_out: dict[Path, _Check] = {}
        self.tier: Tier | None = None
        """What is beneath it, if anything; asked by stores of compiled content."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Cache:
        """The cache of this user: `GPUWHEEL_CACHE_DIR`, else the user cache folder (XDG).

        Who has no home folder, as in a container under any user id, is taken to live in "/", as container engines do.
        """
        chosen = environ.get("GPUWHEEL_CACHE_DIR")
        if chosen:
            with environment(environ):
                chosen = os.path.expanduser(chosen)  # noqa: PTH111 (Path's own needs a home folder)
            return cls(Path(chosen).absolute())
        with environment(environ):
            path = platformdirs.user_cache_path("gpuwheel")
        return cls(path if path.is_absolute() else Path("/.cache/gpuwheel"))

    def place(self, kind: Kind, key: str) -> Path:
        """Where an entry is once it is published: for files that have to name their own path."""
        return self._path(kind, key)

    def lookup(self, kind: Kind, key: str) -> Path | None:
        """Where something was published under `key`, if it was; nobody has looked whether it still is whole."""
        path = self._path(kind, key)
        return path if _touch(path) else None

    def read(self, kind: Kind, key: str) -> bytes | None:
        """The bytes that were published under `key`; `None` if there are none that can be read."""
        path = self._path(kind, key)
        return content_of(path) if _touch(path) else None

    def publish_bytes(self, kind: Kind, key: str, data: bytes) -> Path:
        """Store `data` under `key`, replacing what was there, and return the file.

        Raises:
            CacheError: the cache cannot be written.
        """
        path = self._path(kind, key)
        with named_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir(exist_ok=True)
            # Beside `path` the temporary file would pass for an entry. Whether others who share the cache may note its
            # use (`_touch`) is for the umask to say.
            with atomic_file(path, folder=self._temporary, mode=None) as file:
                file.write(data)
                if path.is_dir():
                    self.remove(kind, key)
        return path

    def publish_tree(
        self,
        kind: Kind,
        key: str,
        fill: Callable[[Path], None],
        *,
        check: _Check = content_problem,
        on_wait: Callable[[], None] | None = None,
        on_damage: Callable[[str], None] | None = None,
    ) -> Path:
        """The folder under `key`; if there is none that is whole, `fill` gets an empty one to write into.

        Of several processes one fills and the others wait and get its result. What `fill` raises passes through, and
        nothing is published.

        Args:
            kind: of the entry.
            key: of the entry.
            fill: writes the content.
            check: says what is wrong with a folder that was published; `content_problem`, `index_problem`, or stricter.
            on_wait: is called once if waiting for another process takes long.
            on_damage: hears what is wrong with the folder that is about to be made again.

        Raises:
            CacheError: the cache cannot be written.
        """
        path = self._path(kind, key)
        # Looked at without the lock first: almost always the folder is there, and whole.
        if not _touch(path) or check(path) is not None:
            with named_errors(self.root):
                self._fill(path, kind, fill, (check, on_wait, on_damage))
        self._handed_out[path] = check
        return path

    def _fill(
        self,
        path: Path,
        kind: Kind,
        fill: Callable[[Path], None],
        about: tuple[_Check, Callable[[], None] | None, Callable[[str], None] | None],
    ) -> None:
        check, on_wait, on_damage = about
        key = path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary.mkdir(exist_ok=True)
        with locked(self._lock(kind, key), self.root, on_wait):
            if os.path.lexists(path):
                problem = check(path)
                if problem is None:
                    return
                if on_damage is not None:
                    on_damage(problem)
                self.remove(kind, key)
            # The lock makes this name ours: what is there was left by a process that was killed.
            temporary = self._temporary / f"{kind}-{key}"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            try:
                fill(temporary)
                seal(temporary)
                os.sync()  # one flush, 0.1 s: an fsync for each of 2,000 headers takes 7 s on the same disk
                self._rename_unless_whole(temporary, path, check)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _rename_unless_whole(self, source: Path, target: Path, check: _Check) -> None:
        """Rename a folder; a whole one at `target` wins (locks do not hold on every network file system)."""
        try:
            source.rename(target)
        except OSError:
            if not os.path.lexists(target) or check(target) is not None:
                raise

    def note(self, name: str) -> bytes | None:
        """What was noted under `name`: small, and no loss if it is gone."""
        try:
            return (self.root / "notes" / f"{name}.json").read_bytes()
        except OSError:
            return None

    def keep_note(self, name: str, data: bytes) -> None:
        """Note `data` under `name`, where the cache can be written."""
        path = self.root / "notes" / f"{name}.json"
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path, mode=None, durable=False) as file:
                file.write(data)

    def merge_note(self, name: str, merge: Callable[[bytes | None], bytes]) -> None:
        """Note what `merge` makes of what is noted under `name`, of several processes one at a time."""
        with suppress(OSError, CacheError):  # as `keep_note`
            self._temporary.mkdir(parents=True, exist_ok=True)
            with locked(self._temporary / f"note-{name}.lock", self.root, None):
                self.keep_note(name, merge(self.note(name)))

    def remove(self, kind: Kind, key: str) -> None:
        """Forget what is under `key`.

        Raises:
            CacheError: the cache cannot be written.
        """
        self._take_away(self._path(kind, key))

    def _take_away(self, path: Path) -> None:
        with self.scratch() as scratch, named_errors(self.root), suppress(FileNotFoundError):
            # Out of the way by one rename, and deleted there: a reader never sees half of an entry.
            path.rename(scratch / path.name)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """While a build uses what this object published: say so if that was deleted or damaged meanwhile.

        Raises:
            CacheError: it was, whether the build noticed or not.
        """
        try:
            yield
        except CacheError:
            raise
        except Exception as error:
            lost = self._lost()
            if lost is None:
                raise
            raise lost from error
        lost = self._lost()
        if lost is not None:
            raise lost

    def check_handed_out(self) -> None:
        """Look again over the folders that this object published, before something made with them is kept.

        Raises:
            CacheError: one was deleted or damaged meanwhile.
        """
        lost = self._lost()
        if lost is not None:
            raise lost

    def _lost(self) -> CacheError | None:
        for path, check in self._handed_out.items():
            problem = check(path) if path.exists() else "it was deleted"
            if problem is not None:
                msg = f"the cache folder {self.root} was changed while a build was using it ({path}: {problem})"
                return CacheError(msg, hint=AGAIN)
        return None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder on the cache's disk, gone afterwards.

        Raises:
            CacheError: the cache cannot be written.
        """
        with scratch_folder(self._temporary, self.root) as folder:
            yield folder

    @contextmanager
    def workspace(self, name: str, *, keep: bool = True, on_wait: Callable[[], None] | None = None) -> Iterator[Path]:
        """The folder of `name`, with a path that depends on the name alone.

        Args:
            name: of everything that decides whose folder it is.
            keep: whether it stays, with its content; else it is empty, and gone afterwards.
            on_wait: is called once if another process works in the folder that stays, and this one waits for it. For
                one that does not stay nobody waits: a second process gets a neighbour.

        Raises:
            CacheError: the cache cannot be written.
        """
        # Short: compilers put the path into commands, and 64 bits are enough for the projects of one user.
        key = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
        if not keep:
            with named_folder(self._temporary, f"{_NAMED}{key}", self.root) as folder, self._handing_out(folder):
                yield folder
            return
        stays = self._top / STAYS / key
        with kept_folder(stays, self.root, on_wait) as folder, self._handing_out(folder):
            _touch(folder)
            yield folder

    @contextmanager
    def _handing_out(self, folder: Path) -> Iterator[None]:
        self._handed_out[folder] = lambda _: None  # a build changes what is in it; only that it goes away is damage
        try:
            yield
        finally:
            del self._handed_out[folder]

    def entries(self) -> Iterator[Entry]:
        """Everything that is published, and the folders that are kept; those in use too."""
        for path in sorted(self._top.glob("*/*")):
            kind = path.parent.name
            is_lock = kind == STAYS and path.suffix == ".lock" and path.is_file()
            if kind != self._temporary.name and not is_lock:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    yield Entry(kind, path.name, path, path.lstat().st_mtime)

    def obstacles(self) -> Iterator[Path]:
        """What stands where the cache needs a folder or a lock file, and is none: no build gets past it."""
        for path in sorted(self._top.glob("*")):
            if not path.is_dir():
                yield path
        for path in sorted(self._top.glob("*/*.lock")):
            if path.parent.name in {self._temporary.name, STAYS} and not path.is_file():
                yield path

    def busy(self) -> bool:
        """Whether a build is running in this cache, on this machine or another that shares its locks."""
        return any(is_locked(lock) for lock in self._top.glob("*/*.lock"))

    def leftovers(self) -> Iterator[Path]:
        """What killed processes left, older than an hour: scratch folders, downloads that nobody continued.

        Locks of entries stay: a process that is about to wait for one may have opened it already.
        """
        for path in sorted(self._temporary.glob("*")):
            if path.suffix == ".lock" and not path.name.startswith((SCRATCH, _NAMED)):
                continue
            owner = path.with_name(f"{path.name.removesuffix('.downloads').removesuffix('.lock')}.lock")
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < time.time() - _HOUR and not is_locked(owner):
                    yield path

    def discard(self, entry: Entry, *, only_if: _Check | None = None) -> bool:
        """Delete an entry, unless it is a folder that a build is in; say whether it is gone.

        Args:
            entry: of this cache.
            only_if: says what is wrong with it; asked again when nobody else can mend it any more.

        Raises:
            CacheError: the cache cannot be written.
        """
        if entry.kind == STAYS and is_locked(entry.path.with_suffix(".lock")):
            return False
        with named_errors(self.root):
            self._temporary.mkdir(parents=True, exist_ok=True)
            with locked(self._lock(entry.kind, entry.key), self.root, None):
                if only_if is None or only_if(entry.path) is not None:
                    self._take_away(entry.path)
        return True

    def _lock(self, kind: str, key: str) -> Path:
        return self._temporary / f"{kind}-{key}.lock"

    def _path(self, kind: Kind, key: str) -> Path:
        # Keys become file names: none may lead out of the folder.
        if _KEY.fullmatch(key) is None:
            msg = f"{key!r} is not a cache key"
            raise ValueError(msg)
        return self._top / kind / key


def _touch(path: Path) -> bool:
    """Note that an entry is used, and say whether it is there."""
    try:
        used = path.stat().st_mtime
    except OSError:
        return False
    # To the hour: a write for each read would wear disks, and fail for all but the owner of a shared cache.
    if used < time.time() - _HOUR:
        with suppress(OSError):  # read-only
            os.utime(path)
    return True
