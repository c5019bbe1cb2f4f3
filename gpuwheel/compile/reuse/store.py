"""Compiled content in the cache, each with its facts and a digest over both: a damaged entry is as good as none.

Beneath the cache may be a remote (`remote.remote_tier`). What came from there, or was linked from what did, says so for
as long as it is kept: it counts only where those who signed it are trusted.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from gpuwheel.errors import CacheError
from gpuwheel.model.pins import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache, Kind, Tier

__all__ = ["ContentStore", "Stored", "all_origins", "content_key", "is_whole", "read_entry", "tree_digest"]

_Holds: TypeAlias = "Callable[[str, Stored], bool]"

_MAGIC = b"gpuwheel image 1\n"
_MAGIC_WITH_ORIGINS = b"gpuwheel image 2\n"
"""A line of origins stands before the facts. Whoever does not know them takes the entry for damaged."""
_DIGEST_LENGTH = 64
_LOOK_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class Stored:
    """What compiling gave, and what was known of it then."""

    facts: dict[str, Any]
    content: bytes
    origins: tuple[Origin, ...] = ()
    """What of it came from a remote: itself, or what it was linked from."""


def all_origins(stored: Iterable[Stored]) -> tuple[Origin, ...]:
    """Of what is made of several things."""
    return tuple(sorted({origin for one in stored for origin in one.origins}))


def _any(key: str, stored: Stored) -> bool:
    del key, stored
    return True


class ContentStore:
    """Entries of one kind. Each is `magic, sha256 of the rest, newline, facts as JSON, newline, content`."""

    def __init__(self, cache: Cache, kind: Kind, tier: Tier | None = None) -> None:
        """`tier`: where else entries are looked for, and shared."""
        self._cache = cache
        self._kind = kind
        self._tier = tier
        self._waiting: dict[str, Stored] = {}
        self._looked = time.monotonic()

    def load(self, key: str, *, of_parts: bool = False) -> Stored | None:
        """The entry under `key`, or `None` if there is none or it is damaged; see `find`."""
        return self.find([key], of_parts=of_parts).get(key)

    def find(self, keys: Collection[str], holds: _Holds = _any, *, of_parts: bool = False) -> dict[str, Stored]:
        """Those of the entries that are there, are whole, and hold.

        Args:
            keys: of the entries.
            holds: says whether an entry may be used.
            of_parts: whether they are made of other entries. Where those of a remote are verified, it is parts that are
                compared, and what they make is made again.
        """
        tier = self._tier
        found = {}
        for key in keys:
            stored = self._kept(key)
            if stored is not None and holds(key, stored):
                found[key] = stored
        if tier is None:
            return found
        if tier.writes:
            for key, stored in found.items():
                # Those of builds that failed, or that were before there was a remote.
                if not stored.origins:
                    tier.offer(self._kind, key, _entry(stored))
        if not (of_parts and tier.verifies):
            found |= self._fetched(tier, [key for key in keys if key not in found], holds)
        return {key: stored for key, stored in found.items() if _is_taken(tier, self._kind, key, stored, of_parts)}

    def _kept(self, key: str) -> Stored | None:
        """What is in the cache, if it may be used here."""
        entry = self._cache.read(self._kind, key)
        if entry is None:
            return None
        try:
            stored = read_entry(entry)
        except ValueError:
            # As good as none, and no error: what can be made again need not be explained.
            return None
        if stored.origins and (self._tier is None or not self._tier.trusts(stored.origins)):
            return None
        return stored

    def _fetched(self, tier: Tier, keys: Collection[str], holds: _Holds) -> dict[str, Stored]:
        """What is in the remote and holds; from now on it is in the cache too."""

        def candidate(entry: bytes, origin: Origin) -> Stored:
            stored = read_entry(entry)
            return replace(stored, origins=tuple(sorted({*stored.origins, origin})))

        def fits(key: str, entry: bytes, origin: Origin) -> bool:
            stored = candidate(entry, origin)
            return tier.trusts(stored.origins) and holds(key, stored)

        fetched = tier.fetch(self._kind, keys, fits) if keys else {}
        found = {key: candidate(*one) for key, one in fetched.items()}
        with suppress(CacheError):  # one that may only be read: what came serves this build alone
            for key, stored in found.items():
                self._cache.publish_bytes(self._kind, key, _entry(stored))
        return found

    def save_soon(self, key: str, stored: Stored) -> None:
        """`save`, but compilers and headers are looked over for many entries at once: call `flush` at the end.

        Raises:
            CacheError: the cache cannot be written, or what an entry was made with was deleted or damaged meanwhile.
            AuditError: a remote has other content under this key, and that was to be verified.
        """
        self.compare(key, stored.content)
        self._waiting[key] = stored
        if time.monotonic() > self._looked + _LOOK_EVERY:
            self.flush()

    def compare(self, key: str, content: bytes) -> None:
        """See that `content` is what a remote has under `key`, if that was drawn to be verified.

        Raises:
            AuditError: it is not.
        """
        if self._tier is not None:
            self._tier.compare(self._kind, key, content)

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
        entry = _entry(stored)
        self._cache.publish_bytes(self._kind, key, entry)
        if self._tier is not None:
            self._tier.offer(self._kind, key, entry)


def read_entry(entry: bytes) -> Stored:
    """What an entry holds.

    Raises:
        ValueError: it is damaged, or none.
    """
    magic = _MAGIC_WITH_ORIGINS if entry.startswith(_MAGIC_WITH_ORIGINS) else _MAGIC
    body = entry[len(magic) + _DIGEST_LENGTH + 1 :]
    if not entry.startswith(_head(body, magic)):
        msg = "an entry of compiled content is damaged"
        raise ValueError(msg)
    origins: tuple[Origin, ...] = ()
    if magic is _MAGIC_WITH_ORIGINS:
        listed, _, body = body.partition(b"\n")
        try:
            origins = tuple(Origin(**one) for one in json.loads(listed))
        except TypeError as error:
            raise ValueError(str(error)) from error
    facts, _, content = body.partition(b"\n")
    return Stored(json.loads(facts), content, origins)


def _entry(stored: Stored) -> bytes:
    body = json.dumps(stored.facts, sort_keys=True).encode() + b"\n" + stored.content
    if not stored.origins:
        return _head(body) + body
    listed = json.dumps([asdict(origin) for origin in stored.origins], sort_keys=True).encode()
    body = listed + b"\n" + body
    return _head(body, _MAGIC_WITH_ORIGINS) + body


def is_whole(entry: bytes) -> bool:
    """Whether an entry is as `ContentStore.save` wrote it."""
    try:
        read_entry(entry)
    except ValueError:
        return False
    return True


def _head(body: bytes, magic: bytes = _MAGIC) -> bytes:
    return magic + hashlib.sha256(body).hexdigest().encode() + b"\n"


def _is_taken(tier: Tier, kind: str, key: str, stored: Stored, of_parts: bool) -> bool:  # noqa: FBT001
    """Whether an entry that holds is used; of a remote, a share is made again where that is asked for."""
    if not stored.origins:
        return True
    return not (of_parts and tier.verifies) and tier.take(kind, key, stored.content, stored.origins)


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
