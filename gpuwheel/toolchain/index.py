"""Find a pinned file, by its exact name and digest, on package indexes and in folders of wheels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from gpuwheel.errors import NetworkError
from gpuwheel.toolchain.transport import NotOnServerError, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.model.pins import PinnedFile
    from gpuwheel.toolchain.index_settings import IndexSettings
    from gpuwheel.toolchain.transport import Transport

__all__ = ["Answer", "FoundFile", "PackageIndex"]

_JSON = "application/vnd.pypi.simple.v1+json"
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
class _Link:
    filename: str
    url: str
    sha256: str | None


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
        for shown, url, is_index in self._places(project):
            asked.append(shown)
            try:
                links = list(self._links(url, is_index=is_index))
            except NotOnServerError:
                continue
            except NetworkError as error:
                failure = failure or error
                continue
            for link in links:
                file = wanted.get(link.filename)
                if file is None:
                    continue
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

    def answers(self, project: str) -> Iterator[Answer]:
        """Ask each index and folder for a project, and say which of them answered."""
        for shown, url, is_index in self._places(project):
            problem = None
            try:
                list(self._links(url, is_index=is_index))
            except NotOnServerError:
                pass
            except NetworkError as error:
                problem = error
            yield Answer(shown, problem)

    def _places(self, project: str) -> Iterator[tuple[str, str, bool]]:
        """How to name a place, its URL, and whether it is an index page (or else a place for all projects)."""
        for link in self._settings.find_links:
            url = link if "://" in link or link.startswith("file:") else Path(link).expanduser().absolute().as_uri()
            url = _without_credentials(url)
            yield url, url, False
        for index in self._settings.indexes:
            bare = _without_credentials(index).rstrip("/")
            yield bare, f"{bare}/{project}/", True

    def _links(self, url: str, *, is_index: bool) -> Iterator[_Link]:
        path = local_path(url)
        if path is None:
            page = self._transport.page(url, _ACCEPT)
            if page.content_type.split(";")[0].strip().lower() == _JSON:
                yield from _json_links(page.content, page.url)
            else:
                yield from _html_links(page.content, page.url)
            return
        if path.is_dir() and (path / "index.html").exists():
            yield from _html_links((path / "index.html").read_bytes(), url.rstrip("/") + "/")
        elif path.is_dir() and not is_index:
            yield from (_Link(entry.name, entry.as_uri(), None) for entry in path.iterdir())
        elif path.is_file():
            yield from _html_links(path.read_bytes(), url)


def _wrong_digest(filename: str, place: str, found: str, expected: str) -> NetworkError:
    return NetworkError(
        f"{place} lists another {filename} than the pinned one (sha256 {found}, expected {expected})",
        hint="set GPUWHEEL_INDEX_URL to an index with the original files, such as https://pypi.org/simple",
    )


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _json_links(content: bytes, base: str) -> Iterator[_Link]:
    """PEP 691."""
    try:
        files = json.loads(content)["files"]
        for file in files:
            yield _Link(file["filename"], urljoin(base, file["url"]), file.get("hashes", {}).get("sha256"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{base} is not a page of a package index ({error!r}, expected PEP 691 JSON)"
        raise NetworkError(msg, hint="check GPUWHEEL_INDEX_URL or pip's index-url") from error


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.base: str | None = None
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "base" and self.base is None:
            self.base = target
        elif tag == "a" and target:
            self.targets.append(target)


def _html_links(content: bytes, base: str) -> Iterator[_Link]:
    """PEP 503: the digest is in the fragment."""
    parser = _Anchors()
    parser.feed(content.decode("utf-8", "replace"))
    for target in parser.targets:
        url, _, fragment = urljoin(urljoin(base, parser.base or ""), target).partition("#")
        name, _, digest = fragment.partition("=")
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        yield _Link(filename, _without_credentials(url), digest.lower() if name == "sha256" else None)
