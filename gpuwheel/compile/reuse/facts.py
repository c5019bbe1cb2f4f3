"""What is noted beside compiled code: every file that was read, by content, and every name that was not there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.compile.reuse.index import FileIndex

__all__ = ["FORMAT", "Facts", "Places"]

FORMAT = 5
"""Version of what `Facts.stored` gives; in the key of everything that facts stand beside."""


@dataclass(frozen=True)
class Places:
    """Folders that may be elsewhere next time, and what they are called in facts and keys."""

    folders: Mapping[str, str]
    """Folder -> name; an inner folder before the one that it is in."""

    @classmethod
    def of(cls, folders: Mapping[str, str]) -> Places:
        """The places of folders in any order."""
        return cls(dict(sorted(folders.items(), key=lambda place: -len(place[0]))))

    def named(self, path: str) -> str:
        """`path` wherever the build takes place."""
        for folder, name in self.folders.items():
            if path.startswith(folder) and path[len(folder) : len(folder) + 1] in {"", os.sep}:
                return f"<{name}>{path[len(folder) :]}"
        return path

    def real(self, name: str) -> str:
        """The path behind a name; one that does not exist where this build has no such folder."""
        if not name.startswith("<"):
            return name
        label, _, rest = name[1:].partition(">")
        # Where a build has no such folder, no file can be what it was: the entry then does not hold.
        folder = next((folder for folder, known in self.folders.items() if known == label), "/nonexistent/gpuwheel")
        return folder + rest

    def masked(self, text: str) -> str:
        """`text` without the folders, for a key."""
        for folder, name in self.folders.items():
            text = text.replace(folder, name)
        return text


@dataclass(frozen=True)
class Facts:
    """All that has to be as it was for the same to be made again, beside what a key holds."""

    read: Mapping[str, str] = field(default_factory=dict)
    """File -> sha256."""
    absent: frozenset[str] = frozenset()
    """Paths where a file or a folder would have been taken instead of one that was read."""
    root: str | None = None
    """Where the project has to be; `None`: anywhere."""
    epoch: str | None = None
    """SOURCE_DATE_EPOCH, where a source asks what time it is."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """File of which only tokens count -> sha256 with its comments emptied."""

    def holds(self, places: Places, root: str, index: FileIndex, epoch: str | None = None) -> bool:
        """Whether everything is as it was; `epoch`: SOURCE_DATE_EPOCH."""
        if self.root not in {None, root} or self.epoch not in {None, epoch}:
            return False
        real = places.real
        # Asked first: it takes a stat each, and no reading.
        if any(os.path.lexists(real(name)) for name in self.absent):
            return False
        if any(index.digest(real(name)) != digest for name, digest in self.read.items()):
            return False
        return all(index.digest(real(name), comments=False) == digest for name, digest in self.sources.items())

    def stored(self) -> dict[str, Any]:
        """The facts as JSON has them."""
        return {
            "read": dict(self.read),
            "sources": dict(self.sources),
            "absent": sorted(self.absent),
            "root": self.root,
            "epoch": self.epoch,
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Facts:
        """The facts behind what `stored` gave."""
        absent = frozenset(stored["absent"])
        return cls(stored["read"], absent, stored["root"], stored["epoch"], stored["sources"])

    @classmethod
    def all_of(cls, facts: Iterable[Facts]) -> Facts:
        """What has to hold for several things together."""
        read: dict[str, str] = {}
        sources: dict[str, str] = {}
        absent: set[str] = set()
        root = epoch = None
        for one in facts:
            read |= one.read
            sources |= one.sources
            absent |= one.absent
            root = one.root or root
            epoch = one.epoch or epoch
        return cls(read, frozenset(absent), root, epoch, sources)
