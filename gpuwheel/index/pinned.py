"""Find a pinned file, by its exact name and digest, on package indexes and in folders of wheels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._endings import because
from gpuwheel._limits import INDEX_PAGE
from gpuwheel._process import environment
from gpuwheel.errors import NetworkError
from gpuwheel.index.pages import Link, html_links, json_links, without_credentials
from gpuwheel.index.transport import NotOnServerError, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.index.settings import IndexSettings
    from gpuwheel.index.transport import Transport
    from gpuwheel.model.pins import PinnedFile

__all__ = ["Answer", "FoundFile", "Listing", "PackageIndex"]

_JSON = "application/vnd.pypi.simple.v1+json"
# PEP 691, "Version + Format Selection": JSON first, for it has digests and no guesses.
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.1"


@dataclass(frozen=True)
class FoundFile:
    """A pinned file and where it can be had."""

    file: PinnedFile
    url: str
    index: str
    """The index or folder that lists it, without credentials."""


@dataclass(frozen=True)
class Answer:
    """What came of asking one index or folder."""

    place: str
    """Without credentials."""
    problem: NetworkError | None
    """`None`: it answered, if only that it has nothing."""


@dataclass(frozen=True)
class Listing:
    """The files of one place."""

    place: str
    """Without credentials."""
    url: str
    """Of its page for the project, or of a folder for all projects."""
    is_index: bool
    links: tuple[Link, ...]


class PackageIndex:
    """The user's indexes as one."""

    def __init__(self, settings: IndexSettings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport

    def find(self, project: str, files: Sequence[PinnedFile]) -> FoundFile:
        """The first of `files` that any index has with the pinned digest; folders and earlier indexes go first.

        Raises:
            NetworkError: none has, or an index that might have cannot be asked.
        """
        wanted = {file.filename: file for file in files}
        failure: NetworkError | None = None
        asked: list[str] = []
        for (shown, _, _), links in self._asked(project):
            asked.append(shown)
            if isinstance(links, NetworkError):
                # Kept, and told only if nobody has the file: one broken index must not hide a working one.
                failure = failure or links
                continue
            for link in links or ():
                file = wanted.get(link.filename)
                if file is None:
                    continue
                # None: a folder, or an old index; then the digest of what comes decides.
                if link.sha256 not in {None, file.sha256}:
                    failure = failure or _wrong_digest(file.filename, shown, str(link.sha256), file.sha256)
                    continue
                return FoundFile(file, link.url, shown)
        others = f" (or one of {len(files) - 1} with the same content)" if len(files) > 1 else ""
        subject = f"{files[0].filename}{others}"
        if failure is not None:
            msg = f"{subject} cannot be had: {failure.message}"
            raise NetworkError(msg, hint=failure.hint) from failure
        if not asked:
            msg = f"{subject} is not in the cache, and there is no index to ask (no-index is set)"
            hint = "run gpuwheel fetch where there is a network, or unset PIP_NO_INDEX and UV_NO_INDEX"
            raise NetworkError(msg, hint=hint)
        msg = f"{subject} is not on the index (asked {', '.join(asked)})"
        raise NetworkError(
            msg, hint="set GPUWHEEL_INDEX_URL to an index that carries it, such as a full mirror of PyPI"
        )

    def listings(self, project: str) -> Iterator[Listing]:
        """What each index and folder has of a project, in their order; those that cannot be asked are passed over.

        Raises:
            NetworkError: none has anything, and one cannot be asked.
        """
        failure: NetworkError | None = None
        found = False
        for place, links in self._asked(project):
            if isinstance(links, NetworkError):
                failure = failure or links
            elif links is not None:
                found = found or bool(links)
                yield Listing(*place, tuple(links))
        if failure is not None and not found:
            raise failure

    def answers(self, project: str) -> Iterator[Answer]:
        """Ask each index and folder for a project, and say which of them answered."""
        for (shown, _, _), links in self._asked(project):
            yield Answer(shown, links if isinstance(links, NetworkError) else None)

    def _asked(self, project: str) -> Iterator[tuple[tuple[str, str, bool], list[Link] | NetworkError | None]]:
        """Each place and what it has; `None`: it does not know the project; the error of one that cannot be asked."""
        for place in self._places(project):
            _, url, is_index = place
            links: list[Link] | NetworkError | None
            try:
                links = self._links(url, is_index=is_index)
            except NotOnServerError:
                links = None
            except NetworkError as error:
                links = error
            yield place, links

    def _places(self, project: str) -> Iterator[tuple[str, str, bool]]:
        """How to name a place, its URL, and whether it is an index page (or else a place for all projects)."""
        for link in self._settings.find_links:
            with environment(self._settings.environ):
                url = link if "://" in link or link.startswith("file:") else Path(link).expanduser().absolute().as_uri()
            url = without_credentials(url)
            yield url, url, False
        for index in self._settings.indexes:
            bare = without_credentials(index).rstrip("/")
            yield bare, f"{bare}/{project}/", True

    def _links(self, url: str, *, is_index: bool) -> list[Link]:
        path = local_path(url)
        if path is None:
            page = self._transport.page(url, _ACCEPT)
            is_json = page.content_type.split(";")[0].strip().lower() == _JSON
            return (json_links if is_json else html_links)(page.content, page.url)
        try:
            return _local_links(path, url, is_index=is_index)
        except (OSError, ValueError) as error:
            msg = f"{url} cannot be read ({because(error)})"
            raise NetworkError(msg, hint="correct find-links or the index's URL") from error


def _local_links(path: Path, url: str, *, is_index: bool) -> list[Link]:
    if path.is_dir() and (path / "index.html").is_file():
        return html_links(_page_of(path / "index.html"), url.rstrip("/") + "/")
    if path.is_dir() and not is_index:
        return [Link(entry.name, entry.as_uri(), None) for entry in path.iterdir()]
    return html_links(_page_of(path), url) if path.is_file() else []


def _page_of(path: Path) -> bytes:
    size = path.stat().st_size
    if size > INDEX_PAGE.value:
        msg = INDEX_PAGE.passed(f"{size:,}")
        raise ValueError(msg)
    return path.read_bytes()


def _wrong_digest(filename: str, place: str, found: str, expected: str) -> NetworkError:
    return NetworkError(
        f"{place} lists another {filename} than the pinned one (sha256 {found}, expected {expected})",
        hint="set GPUWHEEL_INDEX_URL to an index with the original files, such as https://pypi.org/simple",
    )
