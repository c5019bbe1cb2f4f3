"""What a cache holds of compiled things, and which of them a build made anew."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compile.reuse.linked import pieces

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Held", "held"]


@dataclass(frozen=True)
class Held:
    """Images, objects and libraries of a cache."""

    entries: dict[str, tuple[int, tuple[str, ...]]]
    """Name of an entry -> inode, which is another one after it was written again, and digests of what is in it."""

    @property
    def objects(self) -> Counter[str]:
        """How often each content is there."""
        return Counter(digest for _, digests in self.entries.values() for digest in digests)

    def made_since(self, before: Held) -> Counter[str]:
        """What was written since."""
        new = {name: entry for name, entry in self.entries.items() if before.entries.get(name, (0, ()))[0] != entry[0]}
        return Held(new).objects


def held(cache: Path) -> Held:
    """The compiled things in a cache."""
    entries = {}
    for kind in ("images", "libraries"):
        for path in (cache / "v1" / kind).glob("*"):
            _, _, rest = path.read_bytes().partition(b"\n")
            _, _, body = rest.partition(b"\n")
            facts, _, content = body.partition(b"\n")
            try:
                pieces = _pieces(json.loads(facts), content)
            except ValueError:  # damaged on purpose
                continue
            if not content:  # an index of digests, or what a compiler said of itself
                continue
            digests = tuple(hashlib.sha256(piece).hexdigest() for piece in pieces)
            entries[f"{kind}/{path.name}"] = (path.stat().st_ino, digests)
    return Held(entries)


def _pieces(facts: dict[str, object], content: bytes) -> list[bytes]:
    """Objects of one entry, or libraries of one."""
    sizes = facts.get("sizes") or [size for _, size, _ in facts.get("files", [])]  # type: ignore[attr-defined]
    if not isinstance(sizes, list) or not sizes:
        return [content]
    return pieces(content, sizes)
