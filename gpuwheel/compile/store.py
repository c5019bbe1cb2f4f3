"""Device images in the cache, each with its facts and a digest over both: a damaged entry is as good as none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel._cache import Cache

__all__ = ["ImageStore", "StoredImage", "content_key"]

_MAGIC = b"gpuwheel image 1\n"
_DIGEST_LENGTH = 64


@dataclass(frozen=True)
class StoredImage:
    """What compiling gave: the image, and what was read from it then."""

    facts: dict[str, Any]
    image: bytes


class ImageStore:
    """Images under content keys. An entry is `magic, sha256 of the rest, newline, facts as JSON, newline, image`."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def load(self, key: str) -> StoredImage | None:
        """The entry under `key`, or `None` if there is none or it is damaged."""
        path = self._cache.lookup("images", key)
        if path is None:
            return None
        try:
            entry = path.read_bytes()
        except FileNotFoundError:  # deleted meanwhile: the cache may go at any time
            return None
        head = len(_MAGIC) + _DIGEST_LENGTH + 1
        body = entry[head:]
        if entry[:head] != _head(body):
            return None
        facts, _, image = body.partition(b"\n")
        return StoredImage(json.loads(facts), image)

    def save(self, key: str, stored: StoredImage) -> None:
        """Publish an entry, in place of a damaged one if there is one.

        Raises:
            CacheError: the cache cannot be written.
        """
        body = json.dumps(stored.facts, sort_keys=True).encode() + b"\n" + stored.image
        self._cache.publish_bytes("images", key, _head(body) + body)


def _head(body: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"


def content_key(parts: Mapping[str, Any]) -> str:
    """The sha256 of `parts` as canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
