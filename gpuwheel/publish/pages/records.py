"""What is kept of every file of an index between two runs, so that only new and changed ones are read."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__
from gpuwheel._endings import DAMAGE
from gpuwheel._files import atomic_file
from gpuwheel._resources import resource
from gpuwheel.errors import AuditError
from gpuwheel.publish.typed_json import from_plain
from gpuwheel.publish.wheel_facts import WheelFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["OtherFile", "Record", "State", "loaded", "reader", "state_path"]

_SCHEMA = 1


@dataclass(frozen=True)
class OtherFile:
    """A file that is no wheel: an sdist, or the properties of variants."""

    filename: str
    size: int
    """In bytes."""
    sha256: str
    name: str
    """Of the project, normalised."""
    version: str
    requires_python: str | None


@dataclass(frozen=True)
class Record:
    """One file, as it was read."""

    identity: str
    """Of the file, as its source told it then (`Offered.identity`)."""
    uploaded: float
    """When it was put there, as it was first seen, in seconds since 1970."""
    metadata_size: int
    """Bytes of METADATA; 0: there is none."""
    wheel: WheelFacts | None = None
    other: OtherFile | None = None
    serves_metadata: bool = False
    """Whether whoever has the file has METADATA beside it."""
    refused: str | None = None
    """Why it is left out."""
    hint: str | None = None
    """What to do about that."""

    @property
    def sha256(self) -> str | None:
        """Of the file; `None`: it is left out."""
        found = self.wheel or self.other
        return None if found is None else found.sha256


@dataclass
class State:
    """All of it."""

    files: dict[str, Record] = field(default_factory=dict)
    """By file name."""
    written: dict[str, str] = field(default_factory=dict)
    """Path below the index -> sha256 of what gpuwheel wrote there."""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The records as they were read, by file name: what did not change is written as it is."""
    retired: list[str] = field(default_factory=list)
    """Files that the last run did not name any more; the next one removes them, when no reader has an old page."""
    seen: dict[str, tuple[float, str]] = field(default_factory=dict)
    """File name -> time of upload and sha256 as it was listed, also by another gpuwheel, which read it otherwise."""
    base_url: str | None = None
    """Where the pages say that the files of a folder are; `None`: beside them."""

    def save(self, index: Path) -> None:
        """Keep it beside the index.

        Raises:
            OSError: it cannot be written.
        """
        path = state_path(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        files = {name: self.rows.get(name) or _plain(record) for name, record in sorted(self.files.items())}
        document = {"schema": _SCHEMA, "read_by": reader(), "written": self.written, "retired": self.retired}
        seen = {name: pair for name, pair in self.seen.items() if name not in files or self.files[name].sha256 is None}
        document |= {"seen": seen, "base_url": self.base_url}
        with atomic_file(path) as file:
            file.write(json.dumps({**document, "files": files}, separators=(",", ":"), sort_keys=True).encode())


def _plain(record: Record) -> dict[str, Any]:
    wheel = None if record.wheel is None else record.wheel.to_json()
    return {**vars(record), "wheel": wheel, "other": None if record.other is None else vars(record.other)}


def state_path(index: Path) -> Path:
    """Where the state of an index is."""
    return index / ".gpuwheel" / "index.json"


def loaded(index: Path) -> State | None:
    """What was kept; `None`: nothing that can be read. Records of another gpuwheel, which may read otherwise, are left
    out.

    Raises:
        OSError: it cannot be read.
    """
    try:
        document = json.loads(state_path(index).read_bytes())
        written, retired = document["written"], document["retired"]
        if document["schema"] != _SCHEMA or not all(map(_is_text, [*written, *written.values(), *retired])):
            return None
        kept = document["files"] if document["read_by"] == reader() else {}
        files = {name: _record(row) for name, row in kept.items()}
        seen = {name: _pair(*pair) for name, pair in document.get("seen", {}).items()}
        seen |= dict(_seen(document["files"]))
        base_url = document.get("base_url")
        if not isinstance(base_url, str | None):
            return None
        return State(files, dict(written), rows=kept, retired=list(retired), seen=seen, base_url=base_url)
    except FileNotFoundError:
        return State()
    except (*DAMAGE, AuditError):
        return None


def _seen(rows: dict[str, Any]) -> Iterator[tuple[str, tuple[float, str]]]:
    """Of records of any gpuwheel what all of them have."""
    for name, row in rows.items():
        found = row.get("wheel") or row.get("other")
        if found:
            yield name, _pair(row["uploaded"], found["sha256"])


def _pair(uploaded: object, sha256: object) -> tuple[float, str]:
    if not isinstance(uploaded, float | int) or not math.isfinite(uploaded) or not isinstance(sha256, str):
        msg = f"uploaded: {uploaded}, sha256: {sha256}"
        raise TypeError(msg)
    return float(uploaded), sha256


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _record(row: dict[str, Any]) -> Record:
    wheel = None if row["wheel"] is None else WheelFacts.from_json(row["wheel"])
    uploaded = float(row["uploaded"])
    if not math.isfinite(uploaded):
        msg = f"uploaded: {uploaded}"
        raise ValueError(msg)
    return replace(from_plain(Record, {**row, "wheel": None, "uploaded": uploaded}), wheel=wheel)


@cache
def reader() -> str:
    """Changes with whatever decides what is read from a wheel: gpuwheel, and its tables."""
    digest = hashlib.sha256()
    for path in sorted(resource("data").glob("*.toml")):
        digest.update(path.read_bytes())
    return f"{__version__} {digest.hexdigest()}"
