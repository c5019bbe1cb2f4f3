"""A file as pages of an index list it, and the pages: PEP 503 (HTML) and PEP 691 with PEP 700 (JSON).

Both state the digest of METADATA under the old name and the new (PEP 658, PEP 714): installers that know either read
METADATA alone. All that comes out of a file is escaped here, by `html.escape`, `json` and `quote`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.version import Version

from gpuwheel.publish.published import PublishedWheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.publish.wheel_facts import WheelFacts

__all__ = [
    "PAGE_MARK",
    "ListedFile",
    "for_scripts",
    "project_html",
    "project_json",
    "published_wheels",
    "quoted_path",
    "root_html",
    "root_json",
    "upload_time",
    "wheels_json",
]

PAGE_MARK = '<meta name="generator" content="gpuwheel index">'
"""In every page of HTML for installers."""
_API = "1.3"
"""The newest of whose keys these pages use: `provenance` (PEP 740)."""


@dataclass(frozen=True)
class ListedFile:
    """One file."""

    filename: str
    project: str
    """Normalised."""
    version: str
    url: str
    """Absolute, or relative to the folder of the index; quoted."""
    sha256: str
    size: int
    """In bytes."""
    uploaded: float
    """Seconds since 1970."""
    requires_python: str | None
    metadata_sha256: str | None
    """Of METADATA, which lies beside the file as `NAME.metadata`; `None`: it does not."""
    yanked: bool | str
    provenance: str | None
    facts: WheelFacts | None
    """Of a wheel."""

    def url_from(self, depth: int) -> str:
        """Its URL on a page that is `depth` folders below that of the index."""
        return self.url if "://" in self.url else "../" * depth + self.url


def quoted_path(path: str) -> str:
    """A path as a URL has it: pip asks for `%2B`, and uv for what the page says."""
    return quote(os.fsencode(path), safe="/")  # a folder's name may be no UTF-8


def root_html(projects: Iterable[str]) -> bytes:
    """The page of all projects."""
    return _html("Simple index", (f'<a href="{escape(name)}/">{escape(name)}</a><br>' for name in projects))


def root_json(projects: Iterable[str]) -> bytes:
    """The same for machines."""
    return _json({"meta": {"api-version": _API}, "projects": [{"name": name} for name in projects]})


def project_html(project: str, files: Iterable[ListedFile], depth: int) -> bytes:
    """The page of one project, `depth` folders below that of the index."""
    return _html(f"Links for {project}", (_anchor(file, depth) for file in files))


def project_json(project: str, files: Sequence[ListedFile], depth: int) -> bytes:
    """The same for machines."""
    versions = sorted({file.version for file in files}, key=Version)
    document = {"meta": {"api-version": _API}, "name": project, "versions": versions}
    return _json({**document, "files": [_entry(file, depth) for file in files]})


def for_scripts(text: str) -> str:
    """JSON that stays JSON inside of a page too: no tag begins or ends in it."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _html(title: str, lines: Iterable[str]) -> bytes:
    # Without a style: installers read it, and people have another page.
    head = f'<meta charset="utf-8">{PAGE_MARK}<meta name="pypi:repository-version" content="{_API}">'
    head += f"<title>{escape(title)}</title>"
    body = "\n".join(lines)
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}\n</body></html>\n".encode()


def _json(document: dict[str, Any]) -> bytes:
    return (for_scripts(json.dumps(document, separators=(",", ":"))) + "\n").encode()


def _anchor(file: ListedFile, depth: int) -> str:
    digest = None if file.metadata_sha256 is None else f"sha256={file.metadata_sha256}"
    attributes = {
        "href": f"{file.url_from(depth)}#sha256={file.sha256}",
        "data-requires-python": file.requires_python,
        "data-core-metadata": digest,
        "data-dist-info-metadata": digest,
        "data-yanked": None if file.yanked is False else "" if file.yanked is True else file.yanked,
        "data-provenance": file.provenance,
    }
    told = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value is not None)
    return f"<a{told}>{escape(file.filename)}</a><br>"


def _entry(file: ListedFile, depth: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": file.url_from(depth),
        "hashes": {"sha256": file.sha256},
        "size": file.size,
        "upload-time": upload_time(file.uploaded),
        "yanked": file.yanked,
    }
    if file.requires_python is not None:
        entry["requires-python"] = file.requires_python
    if file.metadata_sha256 is not None:
        entry["core-metadata"] = entry["dist-info-metadata"] = {"sha256": file.metadata_sha256}
    if file.provenance is not None:
        entry["provenance"] = file.provenance
    return entry


def upload_time(seconds: float) -> str:
    """As PEP 700 writes it, to the second."""
    # What a file's time cannot mean (before 1970, after 9999) is no reason to have no index.
    held = min(max(seconds, 0.0), 253402300799.0)
    return datetime.fromtimestamp(int(held), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def published_wheels(
    files: Sequence[ListedFile], holding: Mapping[str, Sequence[str]], depth: int
) -> tuple[PublishedWheel, ...]:
    """The wheels of a project, as whoever chooses sees them."""
    up = "../" * depth
    return tuple(
        PublishedWheel(
            facts=file.facts,
            url=file.url_from(depth),
            yanked=file.yanked,
            indexes=tuple(f"{up}{root}/" for root in holding[file.filename]),
        )
        for file in files
        if file.facts is not None
    )


def wheels_json(wheels: Sequence[PublishedWheel]) -> bytes:
    """`wheels.json`."""
    lines = ",\n".join(for_scripts(json.dumps(row.to_json(), separators=(",", ":"))) for row in wheels)
    return f"[\n{lines}\n]\n".encode()
