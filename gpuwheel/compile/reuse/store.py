"""Compiled content in the cache, each with its facts and a digest over both: a damaged entry is as good as none."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache, Kind

__all__ = ["ContentStore", "Stored", "content_key", "is_whole", "tree_digest"]

_MAGIC = b"gpuwheel image 1\n"
_DIGEST_LENGTH = 64
_LOOK_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class Stored:
    """What compiling gave, and what was known of it then."""

    facts: dict[str, Any]
    content: bytes


class ContentStore:
    """Entries of one kind. Each is `magic, sha256 of the rest, newline, facts as JSON, newline, content`."""

    def __init__(self, cache: Cache, kind: Kind) -> None:
        self._cache = cache
        self._kind = kind
        self._waiting: dict[str, Stored] = {}
        self._looked = time.monotonic()

    def load(self, key: str) -> Stored | None:
        """The entry under `key`, or `None` if there is none or it is damaged."""
        entry = self._cache.read(self._kind, key)
        if entry is None:
            return None
        head = len(_MAGIC) + _DIGEST_LENGTH + 1
        body = entry[head:]
        # As good as none, and no error: what can be made again need not be explained.
        if entry[:head] != _head(body):
            return None
        facts, _, content = body.partition(b"\n")
        return Stored(json.loads(facts), content)

    def save_soon(self, key: str, stored: Stored) -> None:
        """`save`, but compilers and headers are looked over for many entries at once: call `flush` at the end.

        Raises:
            CacheError: the cache cannot be written, or what an entry was made with was deleted or damaged meanwhile.
        """
        self._waiting[key] = stored
        if time.monotonic() > self._looked + _LOOK_EVERY:
            self.flush()

    def flush(self) -> None:
        """Publish what waits; raises as `save_soon` does."""
        if self._waiting:
            # Before anything is published: an entry says that the compilers and headers which its key names made it.
            self._cache.check_handed_out()
        while self._waiting:
            self._publish(*self._waiting.popitem())
        self._looked = time.monotonic()

    def save(self, key: str, stored: Stored) -> None:
        """Publish an entry, in place of a damaged one if there is one.

        Raises:
            CacheError: the cache cannot be written, or what the entry was made with was deleted or damaged meanwhile.
        """
        self.save_soon(key, stored)
        self.flush()

    def _publish(self, key: str, stored: Stored) -> None:
        body = json.dumps(stored.facts, sort_keys=True).encode() + b"\n" + stored.content
        self._cache.publish_bytes(self._kind, key, _head(body) + body)


def is_whole(entry: bytes) -> bool:
    """Whether an entry is as `ContentStore.save` wrote it."""
    body = entry[len(_MAGIC) + _DIGEST_LENGTH + 1 :]
    return entry == _head(body) + body


def _head(body: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"


def content_key(parts: Mapping[str, Any]) -> str:
    """The sha256 of `parts` as canonical JSON."""
    # JSON, as it quotes: ["ab"] and ["a", "b"] cannot become one text.
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@functools.cache
def tree_digest(folder: Path, ending: str = "") -> str:
    """The sha256 over names and contents of the files of our own in `folder`, which do not change while we run."""
    lines = []
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(ending):
                file = os.path.join(parent, name)  # noqa: PTH118  # Path objects would take most of the time here
                with open(file, "rb") as stream:  # noqa: PTH123
                    content = hashlib.sha256(stream.read()).hexdigest()
                lines.append(f"{os.path.relpath(file, folder)} {content}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
