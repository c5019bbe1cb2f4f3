"""Where the files of an index lie, and METADATA of each wheel beside it (PEP 658)."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gpuwheel._endings import cut
from gpuwheel._files import atomic_file
from gpuwheel.errors import ConfigError
from gpuwheel.publish.pages.listing import quoted_path
from gpuwheel.publish.pages.offered import identity_of
from gpuwheel.publish.wheel_facts import ChangedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.publish.pages.offered import Offered
    from gpuwheel.publish.pages.records import Record

__all__ = ["Keep", "Place", "Places", "holds"]

_METADATA = ".metadata"
_BASE = re.compile(r"https?://[A-Za-z0-9._~:/@!$&'()*+,;=%\[\]-]+", re.ASCII)  # RFC 3986, without query and fragment
_BLOCK = 1 << 20


class Keep(Enum):
    """What becomes of the files."""

    STAY = "stay"
    COPY = "copy"
    LINK = "link"


@dataclass(frozen=True)
class Place:
    """Of one file."""

    url: str
    """As `ListedFile.url`."""
    metadata: Path | None
    """Where METADATA is to be; `None`: nobody can put it there."""
    copy: str | None = None
    """Path below the index, of a copy."""
    provenance: str | None = None
    """The URL of attestations that lie beside the file."""


class Places:
    """Of all files of one run."""

    def __init__(self, index: Path, keep: Keep, base_url: str | None) -> None:
        """See `IndexRequest`.

        Raises:
            ConfigError: `base_url` is none.
        """
        self._index, self._keep = index.resolve(), keep
        if base_url is not None and not _is_base(base_url):
            msg = f"--base-url {cut(ascii(base_url))} is no URL (expected for example https://example.com/wheels)"
            raise ConfigError(msg, hint="for files beside the pages leave it out")
        if base_url is not None and _has_secrets(base_url):
            msg = "--base-url has credentials, which everybody would read on the pages (expected a URL without user@)"
            raise ConfigError(msg, hint="leave them out: installers have their own, in keyring or netrc")
        self._base = None if base_url is None else base_url.rstrip("/") + "/"
        self._known: dict[tuple[str, str], Place] = {}
        self._resolved: dict[Path, Path] = {}

    def of(self, offered: Offered, sha256: str) -> Place:
        """Where a file with this digest is, or will be.

        Raises:
            ConfigError: nobody could reach it from the pages.
        """
        key = offered.within, sha256
        if key not in self._known:
            self._known[key] = self._of(offered, sha256)
        return self._known[key]

    def check(self, offered: Offered) -> None:
        """Raise ConfigError where pages would show a secret."""
        if self._keep is Keep.STAY and offered.url is not None and _has_secrets(offered.url):
            msg = f"the URL of {offered.filename} has credentials, which everybody would read on the pages"
            raise ConfigError(msg, hint="leave user@ out, or let --copy put the files into the index")
        if offered.provenance is not None and _has_secrets(offered.provenance):
            msg = f"the URL of the provenance of {offered.filename} has credentials, which everybody would read"
            raise ConfigError(msg, hint="leave user@ out")

    def _of(self, offered: Offered, sha256: str) -> Place:
        if self._keep is not Keep.STAY:
            # By digest, as PyPI does: who holds an old page still finds the file that it names.
            path = f"files/{sha256[:16]}/{offered.filename}"
            url = f"{self._base or ''}{quoted_path(path)}"
            return Place(url, self._index / f"{path}{_METADATA}", path)
        if offered.url is not None:
            return Place(offered.url, None)
        if offered.path is None:  # in a bucket, of which the index is a copy of the part that is written
            return Place(
                f"{self._base or ''}{quoted_path(offered.within)}", self._index / f"{offered.within}{_METADATA}"
            )
        beside = offered.path.with_name(offered.path.name + _METADATA)
        if self._base is not None:
            url = f"{self._base}{quoted_path(offered.within)}"
            # PEP 740: a fully qualified URL of a secure origin, and nothing relative.
            has_url = offered.has_attestations and url.startswith("https://")
            return Place(url, beside, provenance=f"{url}.provenance" if has_url else None)
        lies = self._where(offered.path)
        if not lies.is_relative_to(self._index):
            msg = f"{offered.path} is not below the index (expected a file below {self._index}, which pages can name)"
            raise ConfigError(msg, hint="--copy puts it there; --base-url says where the files are served")
        return Place(quoted_path(lies.relative_to(self._index).as_posix()), beside)

    def own_metadata(self, offered: Offered, sha256: str) -> str | None:
        """The path below the index of METADATA that goes when its wheel goes.

        `None`: it lies elsewhere, or beside a copy.
        """
        place = self.of(offered, sha256)
        if place.copy is not None or place.metadata is None:
            return None
        lies = self._where(place.metadata)
        return lies.relative_to(self._index).as_posix() if lies.is_relative_to(self._index) else None

    def _where(self, path: Path) -> Path:
        """The path without links, but for that of the file itself."""
        if path.parent not in self._resolved:
            self._resolved[path.parent] = path.parent.resolve()
        return self._resolved[path.parent] / path.name

    def is_whole(self, offered: Offered, record: Record) -> bool:
        """Whether everything that goes with a file that was read before is still there.

        Raises:
            ConfigError: as `of`.
        """
        if record.sha256 is None:
            return True
        place = self.of(offered, record.sha256)
        found = record.wheel or record.other
        wanted = {}
        if record.metadata_size and place.metadata is not None:
            wanted[place.metadata] = record.metadata_size
        if place.copy is not None and found is not None:
            wanted[self._index / place.copy] = found.size
        return all(path.is_file() and path.stat().st_size == size for path, size in wanted.items())

    def put(self, source: Path, place: Place, record: Record, metadata: bytes | None) -> None:
        """Copy or link a file where that was asked, and write its METADATA.

        Raises:
            ChangedFileError: it changed since it was read.
            OSError: something cannot be written.
        """
        if place.copy is not None:
            self._copy(source, self._index / place.copy, record)
        if metadata is not None and place.metadata is not None and not holds(place.metadata, metadata):
            place.metadata.parent.mkdir(parents=True, exist_ok=True)
            # Not waited for: all of them are, together, before any page is written.
            with atomic_file(place.metadata, durable=False) as file:
                file.write(metadata)

    def _copy(self, source: Path, target: Path, record: Record) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._keep is Keep.LINK and _is_linked(source.resolve(), target, record):
            return
        with source.open("rb") as file, atomic_file(target, durable=False) as copy:
            while block := file.read(_BLOCK):
                copy.write(block)
            if copy.sha256 != record.sha256:
                raise ChangedFileError(source.name, "copied")


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return _BASE.fullmatch(url) is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _has_secrets(url: str) -> bool:
    return "@" in urlsplit(url).netloc


def _is_linked(source: Path, target: Path, record: Record) -> bool:
    """Make `target` a hard link, if it can be one, of the very file that was read."""
    with _temporary_name(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another disk, or one without links
            return False
        if identity_of(temporary.stat()) != record.identity:
            return False
        temporary.replace(target)
    return True


def holds(path: Path, content: bytes) -> bool:
    """Whether a file is there, with this content."""
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


@contextmanager
def _temporary_name(target: Path) -> Iterator[Path]:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
    finally:
        # rename(2) of a link to the file that is already there does nothing, and leaves the temporary name.
        temporary.unlink(missing_ok=True)
