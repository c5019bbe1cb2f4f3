"""Whether what was unpacked into the cache still is what was downloaded."""

from __future__ import annotations

import base64
import csv
import hashlib
from typing import TYPE_CHECKING

from gpuwheel.model.pins import tree_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["damaged_members", "headers_digest"]

_BLOCK = 1 << 20


def damaged_members(root: Path) -> Iterator[str] | None:
    """The files in a folder of unpacked wheels that differ from their RECORD; `None` if no wheel is in it.

    A file that RECORD names and that is missing was left out when the wheel was unpacked. Source: the specification
    "Recording installed projects", RECORD; its digests are base64 without padding.
    """
    records = sorted(root.glob("*.dist-info/RECORD"))
    return (name for record in records for name in _differing(root, record)) if records else None


def headers_digest(root: Path) -> str:
    """`tree_digest` of the headers in a folder that `find_headers` filled."""
    include = root / "include"
    files = (path for path in include.rglob("*") if path.is_file())
    return tree_digest({path.relative_to(include).as_posix(): _sha256(path).hex() for path in files})


def _differing(root: Path, record: Path) -> Iterator[str]:
    with record.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            name, digest = row[0], row[1]
            path = root / name
            if digest.startswith("sha256=") and path.is_file():
                found = base64.urlsafe_b64encode(_sha256(path)).decode().rstrip("=")
                if found != digest.removeprefix("sha256="):
                    yield name


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()
