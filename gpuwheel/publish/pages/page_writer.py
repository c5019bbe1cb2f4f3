"""Writing the files of an index in an order in which no reader meets a page that names what is not there."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from gpuwheel._files import atomic_file, sha256_of
from gpuwheel.errors import ConfigError
from gpuwheel.publish.pages.listing import PAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["PageWriter", "is_copy", "is_marked", "is_named_by_its_digest", "is_unfinished_copy", "pages_there"]


_ROOTS = re.compile(r"((torch\d+\.\d+/)?(cu\d+(\.\d+)?|cpu)/|torch\d+\.\d+/)?", re.ASCII)
_PAGES = ("index.html", "index.json", "wheels.json")
_OURS = re.compile(r"index\.html|index\.json|wheels\.json|.+\.whl\.metadata", re.ASCII)
_METADATA = ".metadata"
_RELEASE_FILE = r"[^/]+(\.whl|\.tar\.gz|-variants\.json)(\.metadata)?"
_COPY = re.compile(rf"files/[0-9a-f]{{16}}/{_RELEASE_FILE}", re.ASCII)
_UNFINISHED_COPY = re.compile(rf"files/[0-9a-f]{{16}}/\.{_RELEASE_FILE}\.([0-9a-f]{{16}}|\d+)\.part", re.ASCII)


def is_copy(path: str) -> bool:
    """Whether this path below an index is one that copies of files have."""
    return _COPY.fullmatch(path) is not None


def is_unfinished_copy(path: str) -> bool:
    """Whether this path below an index is one that a copy has while it is written."""
    return _UNFINISHED_COPY.fullmatch(path) is not None


def is_named_by_its_digest(path: Path) -> bool:
    """Whether a file is in the folder that its bytes name, as copies are, or is METADATA of one: nobody else's is."""
    copy = path.with_name(path.name.removesuffix(_METADATA))
    if not copy.is_file():
        return False
    with copy.open("rb") as file:
        return sha256_of(file).startswith(path.parent.name)


def pages_there(index: Path) -> Iterator[str]:
    """Paths of the pages that earlier runs wrote, by a mark in them: for an index of which nothing was kept."""
    for depth in ("", "*/", "*/*/"):
        for page in (*index.glob(f"{depth}simple/index.html"), *index.glob(f"{depth}simple/*/index.html")):
            relative = page.relative_to(index).as_posix()
            if _ROOTS.fullmatch(relative[: relative.index("simple/")]) is not None and is_marked(page):
                yield from (
                    (page.parent / name).relative_to(index).as_posix()
                    for name in _PAGES
                    if (page.parent / name).is_file()
                )
                if (index / "choose" / page.parent.name / "index.html").is_file():
                    yield f"choose/{page.parent.name}/index.html"


def is_marked(page: Path) -> bool:
    """Whether a page of HTML for installers is one of ours."""
    with page.open("rb") as file:
        return PAGE_MARK.encode() in file.read(500)


class PageWriter:
    """The pages of one run. What is as it was keeps its time, so that a later copy of the index moves nothing."""

    def __init__(self, index: Path, before: Mapping[str, str], *, dry_run: bool) -> None:
        """Write below `index`, where `before` (path -> sha256) was written by the last run."""
        self._index, self._before, self._dry_run = index, before, dry_run
        self.written: dict[str, str] = {}
        """Everything that this run stands for, path -> sha256."""
        self.changed: list[str] = []
        """What was not there, or was another."""
        self.removed: list[str] = []

    def write(self, path: str, content: bytes) -> None:
        """A page, whole, by one rename.

        Raises:
            OSError: it cannot be written.
        """
        target = self._index / path
        self.written[path] = hashlib.sha256(content).hexdigest()
        with suppress(FileNotFoundError, NotADirectoryError):
            if target.stat().st_size == len(content) and target.read_bytes() == content:
                return
        self.changed.append(path)
        if not self._dry_run:
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as file:
                file.write(content)

    def is_foreign(self, path: str, mark: bytes) -> bool:
        """Whether somebody else's file is there: without `mark`."""
        target = self._index / path
        return path not in self._before and target.exists() and not (target.is_file() and mark in target.read_bytes())

    def refuse_foreign(self, folders: Iterable[str], mark: str) -> None:
        """Raise ConfigError where somebody else's page, without `mark`, is in the place of one of ours."""
        for folder in folders:
            if self.is_foreign(f"{folder}/index.html", mark.encode()):
                page = self._index / folder / "index.html"
                msg = f"{page} is of another program (expected none, or one that gpuwheel index wrote)"
                raise ConfigError(msg, hint="--out another folder, or remove it if nobody needs it")

    def remove_others(self) -> None:
        """Remove what the last run wrote and this one did not: after the pages that named it.

        Raises:
            OSError: it cannot be removed.
        """
        for path in sorted(self._before.keys() - self.written.keys()):
            self._remove(path)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files that no page names.

        Raises:
            OSError: one cannot be removed.
        """
        for path in paths:
            self._remove(path)

    def _remove(self, path: str) -> None:
        target = self._index / path
        # The state lies beside the index, where others may write: nothing outside of it is ever removed, and nothing
        # that this index would not have written.
        is_ours = _OURS.fullmatch(target.name) is not None or is_copy(path)
        if not is_ours or not target.parent.resolve().is_relative_to(self._index.resolve()) or not target.is_file():
            return
        self.removed.append(path)
        if self._dry_run:
            return
        target.unlink()
        with suppress(OSError):  # not empty
            for folder in target.parents:
                if folder == self._index:
                    break
                folder.rmdir()
