"""Requirements that name where they are: as installers tell of them (PEP 610), and what lies there on this machine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement

from gpuwheel._files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["local_digests", "url_of"]

_NOT_SOURCES = frozenset({".git", ".hg", ".svn", "__pycache__"})


def url_of(told: Mapping[str, Any]) -> str:
    """The URL of a requirement that installs just what was told, from a "direct URL" (PEP 610, Specification)."""
    url: str = told["url"]
    fragment = []
    if vcs := told.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif archive := told.get("archive_info"):
        kind, _, value = archive.get("hash", "").partition("=")
        hashes = archive.get("hashes") or {kind: value}
        fragment += [f"sha256={hashes['sha256']}"] if hashes.get("sha256") else []
    if told.get("subdirectory"):
        fragment.append(f"subdirectory={told['subdirectory']}")
    return f"{url}#{'&'.join(fragment)}" if fragment else url


def local_digests(requirements: Iterable[str]) -> dict[str, str]:
    """Requirement -> digest of the file or folder of this machine that it names: a path says nothing of its content."""
    found = {}
    for text in requirements:
        try:
            parts = urlsplit(Requirement(text).url or "")
        except InvalidRequirement:  # a form of the installer's own
            continue
        if parts.scheme == "file":
            found[text] = _content(Path(url2pathname(parts.path)))
    return found


def _content(path: Path) -> str:
    """Empty for what cannot be read: installing it says why."""
    digest = hashlib.sha256()
    try:
        for name, file in _files(path):
            with file.open("rb") as opened:
                digest.update(f"{name}\0{sha256_of(opened)}\0".encode(errors="surrogateescape"))
    except OSError:
        return ""
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Name below `path`, and the file itself; nothing but regular files counts."""
    if not path.is_dir():
        yield "", path
        return
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - _NOT_SOURCES)
        for file in (Path(parent, name) for name in sorted(names)):
            if file.is_file():
                yield str(file.relative_to(path)), file
