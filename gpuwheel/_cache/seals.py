"""What a published folder holds, noted in it when it was whole, so that damage shows on use.

The seal is a file in the folder: its own sha256, a newline, and JSON with every file (sha256, and whether it is a
program), link (its target) and folder. Behind a file's digest stands a cheap index, what `stat` said of it: a file
that is as its index says is not read again. What may change without showing (`file_state`) has none. A copy of the
folder has other inodes: it is read whole once, and indexed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gpuwheel._cache.file_state import is_settled, opened, state_in
from gpuwheel._files import atomic_file, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SEAL", "content_problem", "index_problem", "seal", "sealed_digests"]

SEAL = ".gpuwheel-seal"
_BYTECODE = "__pycache__"
"""Python writes it beside modules that it imports, and checks it against them."""


@dataclass(frozen=True)
class _Folder:
    """What is in a folder, by path relative to it; "/" separates names."""

    files: dict[str, os.stat_result] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Sockets, pipes and devices, which no published folder has."""

    @classmethod
    def of(cls, root: Path) -> _Folder:
        found = cls()
        found._read(str(root), "")
        return found

    def _read(self, folder: str, prefix: str) -> None:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = prefix + entry.name
                if name.startswith(SEAL):  # and its temporary name: another process may be renewing it
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    self.files[name] = status
                elif stat.S_ISLNK(status.st_mode):
                    self.links[name] = os.readlink(entry.path)  # noqa: PTH115 (a path as text)
                elif not stat.S_ISDIR(status.st_mode):
                    self.others.append(name)
                elif entry.name != _BYTECODE:
                    self.folders.append(name)
                    self._read(entry.path, f"{name}/")


def seal(root: Path) -> None:
    """Note what is in the folder `root`.

    Raises:
        OSError: it cannot be read or written.
    """
    found = _Folder.of(root)
    files = {name: _noted(root, name, status) for name, status in found.files.items()}
    _write(root, {"files": files, "links": found.links, "folders": found.folders})


def sealed_digests(root: Path) -> dict[str, str]:
    """What a folder held when it was sealed: path of each file -> sha256 of its content. Nothing if it has no seal."""
    sealed = _load(root)
    return {} if sealed is None else {name: note[0] for name, note in sealed["files"].items()}


def content_problem(root: Path) -> str | None:
    """What in a sealed folder is not as it was, all of it read again; `None`: nothing."""
    return _problem(root, trusting=False)


def index_problem(root: Path) -> str | None:
    """What in a sealed folder is not as it was; only files whose index differs are read, and indexed again."""
    return _problem(root, trusting=True)


def _problem(root: Path, *, trusting: bool) -> str | None:
    try:
        sealed = _load(root)
        if sealed is None:
            return f"{SEAL} is missing or damaged"
        found = _Folder.of(root)
        return _other_names(sealed, found) or _other_content(root, sealed, found.files, trusting=trusting)
    except NotADirectoryError:
        return "it is not a folder"
    except OSError as error:
        return f"it cannot be read ({error.strerror}: {error.filename})"


def _other_content(
    root: Path, sealed: dict[str, Any], files: dict[str, os.stat_result], *, trusting: bool
) -> str | None:
    renewed: dict[str, list[Any]] = {}
    for name, status in files.items():
        note = sealed["files"][name]
        if trusting and note[2:] == [*state_in(status)]:
            continue
        fresh = _noted(root, name, status)
        if fresh[:2] != note[:2]:
            return f"{name} is not what was stored"
        if fresh != note:
            renewed[name] = fresh
    if renewed:
        with suppress(OSError):  # a cache that may only be read
            _write(root, {**sealed, "files": sealed["files"] | renewed})
    return None


def _other_names(sealed: dict[str, Any], found: _Folder) -> str | None:
    """A name that one has and the other has not, or a link that leads elsewhere."""
    if found.others:
        return f"{found.others[0]} is neither a file nor a folder"
    names = {"files": set(found.files), "links": set(found.links), "folders": set(found.folders)}
    for kind, present in names.items():
        noted = set(sealed[kind])
        if present != noted:
            lost, added = sorted(noted - present), sorted(present - noted)
            return f"{lost[0]} is missing" if lost else f"{added[0]} was added"
    for name, target in found.links.items():
        if sealed["links"][name] != target:
            return f"{name} is not the link that was stored"
    return None


def _noted(root: Path, name: str, status: os.stat_result) -> list[Any]:
    """The digest of a file, whether it is a program, and its index, if that can be trusted later."""
    now = time.time_ns()
    # It was a regular file a moment ago: a link that took its place leads out of the folder.
    with opened(root / name, os.O_NOFOLLOW) as file:
        digest = sha256_of(file)
        after = state_in(os.fstat(file.fileno()))
    state = state_in(status)
    index = state if is_settled(state, now) and after == state else ()
    return [digest, bool(status.st_mode & stat.S_IXUSR), *index]


def _load(root: Path) -> dict[str, Any] | None:
    try:
        text = (root / SEAL).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None
    digest, _, body = text.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    return _parse(body)


@lru_cache(maxsize=64)
def _parse(body: bytes) -> dict[str, Any]:
    """What a seal says, which nobody changes: a build looks over a folder before and after, and decodes it once."""
    sealed: dict[str, Any] = json.loads(body)
    return sealed


def _write(root: Path, sealed: dict[str, Any]) -> None:
    body = json.dumps(sealed, sort_keys=True, separators=(",", ":")).encode()
    # The whole folder is flushed at once where it is published, and a renewed seal that is lost shows as damage.
    with atomic_file(root / SEAL, mode=None, durable=False) as file:
        file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
