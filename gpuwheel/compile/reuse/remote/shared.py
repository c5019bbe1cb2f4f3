"""What this machine has shared, so that what is in its cache is not written to the remote by each build again."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel._cache import Cache
    from gpuwheel.compile.reuse.remote.machine_settings import RemoteSettings

__all__ = ["Shared"]

_DAY = 86_400  # seconds
_AGAIN = 7
"""Days after which an entry is shared again: buckets forget."""
_MOST = 50_000
_LENGTH = 24
"""Characters of a digest."""


class Shared:
    """Entries, by the beginning of their digests, with the day on which each was shared; a note of the cache."""

    def __init__(self, cache: Cache, settings: RemoteSettings) -> None:
        """Of one level of one remote."""
        self._cache = cache
        name = hashlib.sha256(f"{settings.url}\0{settings.write}".encode()).hexdigest()[:16]
        self._name = f"remote-{name}"
        self._today = int(time.time() // _DAY)
        try:
            noted = json.loads(cache.note(self._name) or b"{}")
            self._known = {str(digest): int(day) for digest, day in noted.items() if self._is_recent(int(day))}
        except (ValueError, TypeError, AttributeError):  # damaged: no loss
            self._known = {}

    def has(self, digest: str) -> bool:
        """Whether the entry with this sha256 is there, as far as is known."""
        return digest[:_LENGTH] in self._known

    def add(self, digest: str) -> None:
        """It is there now."""
        self._known[digest[:_LENGTH]] = self._today

    def save(self) -> None:
        """Remember it for the next build."""
        rows = sorted(self._known.items(), key=lambda row: -row[1])[:_MOST]
        self._cache.keep_note(self._name, json.dumps(dict(rows)).encode())

    def _is_recent(self, day: int) -> bool:
        return 0 <= self._today - day < _AGAIN
