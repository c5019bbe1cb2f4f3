"""The files that a page of a package index lists: PEP 691 (JSON) and PEP 503 (HTML).

The standard library's `html.parser` takes quadratic time on tags that do not end, and asserts on some that do. A page
of links needs little of HTML; here each character is looked at a fixed number of times.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from gpuwheel._endings import cut, reading
from gpuwheel._limits import INDEX_LINKS
from gpuwheel.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Link", "html_links", "json_links", "without_credentials"]

_HINT = "check GPUWHEEL_INDEX_URL or pip's index-url"

# No part of a tag may be matched in two ways, and none goes past the next "<": what does not end costs its own length.
_TAG = re.compile(r"""<(?P<tag>a|base)(?=[\s/>])(?P<rest>(?:[^"'<>]|"[^"<]*"|'[^'<]*')*)>""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>=`]+)))?""")


@dataclass(frozen=True)
class Link:
    """One file of a page."""

    filename: str
    url: str
    sha256: str | None
    """As the page says; hexadecimal, in small letters."""
    requires_python: str | None = None
    yanked: str | bool = False
    """Why it was withdrawn (PEP 592); `True` where nobody says why."""
    metadata: bool = False
    """Whether its METADATA is beside it, under the same URL with `.metadata` (PEP 658)."""


def without_credentials(url: str) -> str:
    """The URL without `user:password@`.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def json_links(content: bytes, base: str) -> list[Link]:
    """The files of a PEP 691 page.

    Raises:
        NetworkError: it is none, or lists too many.
    """
    with _page(base, "PEP 691 JSON"):
        return _bounded(_json_links(json.loads(content)["files"], base), base)


def html_links(content: bytes, base: str) -> list[Link]:
    """The links of a PEP 503 page; a digest is in the fragment.

    Raises:
        NetworkError: it lists too many.
    """
    with _page(base, "PEP 503 HTML"):
        return _bounded(_html_links(content.decode("utf-8", "replace"), base), base)


def _page(base: str, form: str) -> Any:  # noqa: ANN401  # a context manager
    return reading(f"{cut(base)} is not a page of a package index", form, error=NetworkError, hint=_HINT)


def _bounded(links: Iterator[Link], base: str) -> list[Link]:
    found = list(itertools.islice(links, INDEX_LINKS.value + 1))
    if len(found) > INDEX_LINKS.value:
        msg = f"{cut(base)} lists too many files ({INDEX_LINKS.passed('more')})"
        raise NetworkError(msg, hint=_HINT)
    return found


def _json_links(files: Any, base: str) -> Iterator[Link]:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(files, list):
        msg = f"files is a {type(files).__name__}"
        raise TypeError(msg)
    for file in files:
        filename, url, digest = file["filename"], file["url"], (file.get("hashes") or {}).get("sha256")
        if not isinstance(filename, str) or not isinstance(url, str) or not isinstance(digest, str | None):
            msg = f"a file is described by {cut(file)}"
            raise TypeError(msg)
        link = _link(url, base, filename, digest)
        if link is not None:
            wanted, yanked = file.get("requires-python"), file.get("yanked") or False
            yield replace(
                link,
                requires_python=wanted if isinstance(wanted, str) else None,
                yanked=yanked if isinstance(yanked, str) else bool(yanked),
                metadata=bool(file.get("core-metadata") or file.get("dist-info-metadata")),
            )


def _html_links(text: str, base: str) -> Iterator[Link]:
    first, *rest = text.split("<!--")
    visible = "".join([first, *(piece.partition("-->")[2] for piece in rest)])
    has_base = False
    for match in _TAG.finditer(visible):
        attributes = _attributes(match["rest"])
        target = attributes.get("href", "")
        if match["tag"].lower() == "base":
            # The first <base> counts (HTML standard, "The base element").
            if target and not has_base:
                base, has_base = _joined(base, target) or base, True
        elif target:
            url, _, fragment = target.partition("#")
            name, _, digest = fragment.partition("=")
            link = _link(url, base, None, digest if name == "sha256" else None)
            if link is not None:
                yield replace(
                    link,
                    requires_python=attributes.get("data-requires-python") or None,
                    yanked=attributes.get("data-yanked") or "data-yanked" in attributes,
                    metadata="data-core-metadata" in attributes or "data-dist-info-metadata" in attributes,
                )


def _attributes(text: str) -> dict[str, str]:
    """Of a tag, by name in small letters; of one that is there twice, the first (HTML standard, "Tag name state")."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text):
        name, *values = match.groups()
        found.setdefault(name.lower(), html.unescape(next(filter(None, values), "")))
    return found


def _link(target: str, base: str, filename: str | None, digest: str | None) -> Link | None:
    """A link; `None` for one that cannot be followed, or that leads from a server to files of this machine."""
    url = _joined(base, target)
    if url is None or (url.startswith("file:") and not base.startswith("file:")):
        return None
    url = url.partition("#")[0]
    name = unquote(urlsplit(url).path.rpartition("/")[2]) if filename is None else filename
    return Link(name, url if filename is not None else without_credentials(url), digest and digest.lower())


def _joined(base: str, target: str) -> str | None:
    try:
        url = urljoin(base, target)
        urlsplit(url).port  # noqa: B018  # raises where it is none
    except ValueError:
        return None
    return url
