"""A list of release files: URLs with digests, or paths on this machine; as text or as JSON.

Text has a file a line: `https://example.com/ops-1.0-py3-none-any.whl#sha256=DIGEST`, a path, or `DIGEST  PATH` as
sha256sum writes it. JSON is a page of an index (PEP 691), or its list of files alone, so that an index can list what
another one has.
"""

from __future__ import annotations

import json
import re
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from gpuwheel._endings import cut, reading
from gpuwheel._limits import INDEX_LINKS, INDEX_PAGE, METADATA_FILE
from gpuwheel.errors import ConfigError, FileError, NetworkError
from gpuwheel.index.download import download
from gpuwheel.index.pages import without_credentials
from gpuwheel.index.pinned import FoundFile
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import NotOnServerError, Transport, local_path
from gpuwheel.model.pins import PinnedFile
from gpuwheel.publish.pages.offered import Offered, identity_of, is_release_file
from gpuwheel.publish.pages.yanks import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpuwheel.index.context import Context

__all__ = ["ReleaseList"]

_DIGEST_FIRST = re.compile(r"(?P<digest>[0-9a-fA-F]{64})\s+\*?(?P<target>\S.*)", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+", re.ASCII)  # RFC 3986
_FORM = "lines such as https://example.com/ops-1.0-py3-none-any.whl#sha256=DIGEST, or the JSON of PEP 691"
_TIME = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d)?", re.ASCII)
_METADATA = ".metadata"


class ReleaseList:
    """The files that a list names."""

    def __init__(self, path: Path, context: Context) -> None:
        """Read the list when it is asked."""
        self._path, self._context = path, context

    def offered(self) -> Iterator[Offered]:
        """Documented by the Protocol."""
        hint = "docs/how-to/publish-an-index.md has both forms"
        with reading(f"{self._path.name} is not a list of release files", _FORM, error=ConfigError, hint=hint):
            with self._path.open("rb") as file:
                data = file.read(INDEX_PAGE.value + 1)
            if len(data) > INDEX_PAGE.value:
                raise ValueError(INDEX_PAGE.passed("more"))
            text = data.decode()
            rows = list(_json_rows(text) if text.lstrip()[:1] in {"{", "["} else _text_rows(text))
            if len(rows) > INDEX_LINKS.value:
                raise ValueError(INDEX_LINKS.passed(f"{len(rows):,}"))
            yield from [self._offered(row) for row in rows]

    @contextmanager
    def local(self, offered: Offered) -> Iterator[Path]:
        """Documented by the Protocol."""
        if offered.path is not None:
            yield offered.path
            return
        context = self._context
        pinned = PinnedFile(offered.filename, offered.sha256 or "", 0)
        found = FoundFile(pinned, offered.url or "", without_credentials(offered.url or ""))
        with context.cache.scratch() as folder, self._transport() as transport:
            yield download(found, folder, transport=transport, reporter=context.reporter)

    def metadata(self, offered: Offered) -> bytes | None:
        """Documented by the Protocol."""
        if offered.url is None or "?" in offered.url:
            return None
        with self._transport() as transport:

            def read() -> bytes:
                data = b""
                with transport.body(f"{offered.url}{_METADATA}") as body:
                    for chunk in body.chunks:
                        data += chunk
                        if len(data) > METADATA_FILE.value:
                            break
                return data

            try:
                return transport.retrying(read)
            except NotOnServerError:
                return None
            except NetworkError:  # hosts of releases refuse what they do not have in many ways
                return None

    @contextmanager
    def _transport(self) -> Iterator[Transport]:
        context = self._context
        settings = read_index_settings(context.environ)
        with closing(Transport(settings, context.traffic, context.reporter.info)) as transport:
            yield transport

    def _offered(self, row: Mapping[str, Any]) -> Offered:
        url, sha256 = row["url"], (row.get("hashes") or {}).get("sha256")
        if not isinstance(url, str) or not isinstance(sha256, str | None):
            msg = f"a file is described by {cut(row)}"
            raise TypeError(msg)
        filename = unquote(urlsplit(url).path if "://" in url else url).rpartition("/")[2]
        if not is_release_file(filename) or not filename.isprintable():
            msg = f"{cut(ascii(url))} is neither a wheel nor an sdist"
            raise ValueError(msg)
        if sha256 is not None and _SHA256.fullmatch(sha256.lower()) is None:
            msg = f"{cut(sha256)} is no sha256"
            raise ValueError(msg)
        if not url.startswith(("http://", "https://")):
            return replace(self._on_this_machine(filename, url, sha256), yanked=_yanked(row.get("yanked", False)))
        url = url.partition("#")[0]
        if _URL.fullmatch(url) is None:
            msg = f"{cut(ascii(url))} is no URL"
            raise ValueError(msg)
        if sha256 is None:
            msg = f"{cut(url)} has no digest (expected #sha256=... behind it)"
            raise ValueError(msg)
        uploaded = _time(row.get("upload-time")) or self._path.stat().st_mtime
        # A URL with the digest of a file is that file, whenever it is asked; what lies beside it is of the URL.
        digest = sha256.lower()
        return Offered(
            *(filename, f"{digest} {url}", uploaded, filename),
            url=url,
            sha256=digest,
            yanked=_yanked(row.get("yanked", False)),
            provenance=_provenance(row.get("provenance")),
        )

    def _on_this_machine(self, filename: str, url: str, sha256: str | None) -> Offered:
        path = local_path(url) if url.startswith("file:") else self._path.parent / unquote(url)
        if path is None or "://" in url.removeprefix("file:///"):
            msg = f"{cut(url)} is neither a path nor a URL of HTTP"
            raise ValueError(msg)
        try:
            stat = path.stat()
        except OSError as error:
            msg = f"{path} cannot be read ({error.strerror}; {self._path.name} names it)"
            raise FileError(msg, hint="correct the list") from error
        identity = identity_of(stat)
        digest = None if sha256 is None else sha256.lower()
        return Offered(filename, identity, stat.st_mtime, filename, path=path, sha256=digest)


def _text_rows(text: str) -> Iterator[dict[str, Any]]:
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if match := _DIGEST_FIRST.fullmatch(line):
            yield {"url": match["target"], "hashes": {"sha256": match["digest"]}}
            continue
        url, _, fragment = line.partition("#")
        name, _, digest = fragment.partition("=")
        yield {"url": url.strip(), "hashes": {"sha256": digest} if name == "sha256" else {}}


def _json_rows(text: str) -> Iterator[dict[str, Any]]:
    document = json.loads(text)
    rows = document["files"] if isinstance(document, dict) else document
    for row in rows:
        if not isinstance(row, dict):
            msg = f"a file is described by {cut(row)}"
            raise TypeError(msg)
        yield row


def _yanked(value: object) -> bool | str:
    return one_line(value) if isinstance(value, str) else value is True


def _provenance(value: object) -> str | None:
    # PEP 740: "a fully qualified URL", of "a secure origin".
    is_url = isinstance(value, str) and re.fullmatch(r"https://[!-~]+", value) is not None
    return str(value) if is_url else None


def _time(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    # Python 3.10 reads no Z, and not every length of a fraction; to the second is what pages say (`upload_time`).
    match = _TIME.fullmatch(value)
    if match is None:
        msg = f"{cut(value)} is no time of PEP 700"
        raise ValueError(msg)
    return datetime.fromisoformat(f"{match['time']}{(match['zone'] or 'Z').replace('Z', '+00:00')}").timestamp()
