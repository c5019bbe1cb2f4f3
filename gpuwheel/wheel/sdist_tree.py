"""One digest of the files of an sdist, the same for the archive and for the folder that it is unpacked into.

A backend is handed a folder (PEP 517), and nobody says from which archive: of that, no digest could be recorded.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel._files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["archive_digest", "folder_digest"]

_MARK = "PKG-INFO"
"""At the top of each sdist (PEP 643), and of no checkout."""


def folder_digest(root: Path, *, without: Collection[str] = ()) -> str | None:
    """The digest of a folder that an sdist was unpacked into; `None`: it is none, or holds what no sdist does.

    Args:
        root: The folder.
        without: Names at its top which do not count.

    Raises:
        OSError: a file cannot be read.
    """
    if not (root / _MARK).is_file():
        return None
    rows = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 (of thousands)
            relative = os.path.relpath(path, root)
            if relative in without:
                continue
            if os.path.islink(path):  # noqa: PTH114
                rows.append((relative, f"-> {os.readlink(path)}"))  # noqa: PTH115
                continue
            with open(path, "rb") as file:  # noqa: PTH123
                rows.append((relative, sha256_of(file)))
    return _digest(rows)


def archive_digest(path: Path, *, without: Collection[str] = ()) -> str:
    """The digest of an sdist, as `folder_digest` has it.

    Raises:
        AuditError: it is no gzipped tar archive.
        OSError: it cannot be read.
    """
    with reading(f"{path.name} is not an sdist", "a gzipped tar archive"):
        return _digest(row for row in _rows(path) if row[0] not in without)


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            relative = member.name.partition("/")[2]
            if member.issym():
                yield relative, f"-> {member.linkname}"
            elif member.isfile() and (file := archive.extractfile(member)) is not None:
                sha256 = hashlib.sha256()
                while block := file.read(1 << 20):
                    sha256.update(block)
                yield relative, sha256.hexdigest()


def _digest(rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> str:
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(rows))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
