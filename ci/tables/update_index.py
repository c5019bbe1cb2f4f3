"""The package index as the `update_*.py` scripts see it: its JSON API (PEP 691) and parts of wheels by HTTP range.

`GPUWHEEL_INDEX_URL` names another index than PyPI.
"""

from __future__ import annotations

import io
import json
import os
import urllib.request
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

if TYPE_CHECKING:
    from packaging.version import Version

__all__ = ["IndexFile", "files_of", "open_wheel", "remote_file", "sources_of"]

_INDEX = os.environ.get("GPUWHEEL_INDEX_URL", "https://pypi.org/simple").rstrip("/")
_JSON = "application/vnd.pypi.simple.v1+json"
_BLOCK = 1 << 20
_TIMEOUT_S = 120


@dataclass(frozen=True)
class IndexFile:
    """One wheel on the index."""

    filename: str
    url: str
    sha256: str
    size: int
    requires_python: str
    yanked: bool

    @property
    def version(self) -> Version:
        """The version in its name."""
        return parse_wheel_filename(self.filename)[1]

    @property
    def build(self) -> tuple[int, str] | tuple[()]:
        """The build tag in its name; of two wheels of one version, installers take the higher."""
        return parse_wheel_filename(self.filename)[2]

    @property
    def pythons(self) -> frozenset[str]:
        """The Pythons in its name: "3.14", "3.14t" (free-threaded), "3"."""
        tags = parse_wheel_filename(self.filename)[3]
        return frozenset(
            (f"{tag.interpreter[2]}.{tag.interpreter[3:]}" if tag.interpreter[3:] else tag.interpreter[2:])
            + ("t" if tag.abi.endswith("t") else "")
            for tag in tags
        )

    @property
    def platforms(self) -> frozenset[str]:
        """The platform tags in its name."""
        return frozenset(tag.platform for tag in parse_wheel_filename(self.filename)[3])

    @property
    def for_linux(self) -> bool:
        """Whether it installs on Linux (x86_64 or aarch64, glibc)."""
        return any(tag == "any" or tag.startswith(("manylinux", "linux")) for tag in self.platforms)

    def row(self) -> dict[str, object]:
        """As a table of `gpuwheel/data` holds it."""
        return {"filename": self.filename, "size": self.size, "sha256": self.sha256}


def files_of(name: str) -> list[IndexFile]:
    """The wheels of a project for Linux, not yanked, by name."""
    files = [
        IndexFile(
            filename=file["filename"],
            url=file["url"],
            sha256=file["hashes"]["sha256"],
            size=file["size"],
            requires_python=file.get("requires-python") or "",
            yanked=bool(file.get("yanked")),
        )
        for file in _page(name)
        if file["filename"].endswith(".whl") and _is_named(file["filename"])
    ]
    return sorted((file for file in files if file.for_linux and not file.yanked), key=lambda file: file.filename)


def sources_of(name: str) -> dict[Version, str]:
    """The releases of a project that are sdists alone, neither yanked nor pre-releases, and their Requires-Python."""
    sources: dict[Version, str] = {}
    wheels: set[Version] = set()
    for file in _page(name):
        filename = file["filename"]
        if filename.endswith(".whl"):
            wheels |= {parse_wheel_filename(filename)[1]} if _is_named(filename) else set()
        elif filename.endswith((".tar.gz", ".zip")) and not file.get("yanked"):
            with suppress(InvalidSdistFilename):
                sources[parse_sdist_filename(filename)[1]] = file.get("requires-python") or ""
    return {one: python for one, python in sources.items() if one not in wheels and not one.is_prerelease}


def _page(name: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{_INDEX}/{name}/", headers={"Accept": _JSON})  # noqa: S310 - the index is ours
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        files: list[dict[str, Any]] = json.load(response)["files"]
    return files


def _is_named(filename: str) -> bool:
    """Whether tools still take the name: some of old files are none's by now."""
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return True


def open_wheel(file: IndexFile) -> zipfile.ZipFile:
    """A wheel on the index, of which only what is read is downloaded."""
    return zipfile.ZipFile(io.BufferedReader(remote_file(file), _BLOCK))


def remote_file(file: IndexFile) -> io.RawIOBase:
    """A file on the index, of which each read is one request."""
    return _RemoteFile(file.url, file.size)


class _RemoteFile(io.RawIOBase):
    """A file at a URL, read by range requests."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # narrower than the stub's Buffer
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        wanted = f"bytes={self._position}-{end - 1}"
        request = urllib.request.Request(self._url, headers={"Range": wanted})  # noqa: S310 - a URL of the index
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            if response.status != 206:  # noqa: PLR2004 - partial content
                msg = f"{self._url} takes no range requests (status {response.status}, expected 206)"
                raise OSError(msg)
            data = response.read()
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
