"""Where files are published: a package index by name or URL, a folder that becomes one, Hugging Face kernels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gpuwheel._endings import cut
from gpuwheel.errors import PublishError

if TYPE_CHECKING:
    from gpuwheel.compatibility.publishing import Publishing, Refused

__all__ = ["Destination", "Kind", "destination_of"]


class Kind(Enum):
    """What a destination is."""

    INDEX = "package index"
    FOLDER = "static index"
    KERNELS = "kernels"


@dataclass(frozen=True)
class Destination:
    """One place."""

    text: str
    """As it was asked for."""
    kind: Kind
    refuses: Refused | None = None
    """`None`: nobody knows."""
    upload: str | None = None
    """URL that files are sent to."""
    index: str | None = None
    """Simple repository API (PEP 503, PEP 691) that lists what is there; `None`: nobody knows."""
    folder: Path | None = None

    @property
    def is_pypi(self) -> bool:
        """Whether the rules of PyPI are known to hold."""
        return self.refuses is not None


def destination_of(text: str, publishing: Publishing, index: str | None = None) -> Destination:
    """The place that `text` names: "pypi", "testpypi", "https://...", "index:DIR" or "kernels:DIR".

    Args:
        text: as asked.
        publishing: what is known of places.
        index: where a URL's files are listed (PEP 503).

    Raises:
        PublishError: it is none, or a URL holds a password.
    """
    for url in filter(None, (text if "://" in text else None, index)):
        _check_url(url)
    known = publishing.targets.get(text)
    if known is not None:
        return Destination(text, Kind.INDEX, publishing.refuses, known.upload, index or known.index)
    form, colon, place = text.partition(":")
    kind = {"index": Kind.FOLDER, "kernels": Kind.KERNELS}.get(form)
    if kind is not None and colon and place:
        return Destination(text, kind, folder=Path(place))
    if "://" not in text:
        known_names = ", ".join(publishing.targets)
        msg = f"{cut(text)} is no place to publish to (expected {known_names}, a URL, index:DIR or kernels:DIR)"
        raise PublishError(msg, hint="gpuwheel publish --help has an example of each")
    host = urlsplit(text).hostname
    # PyPI by its address is PyPI.
    same = next((one for one in publishing.targets.values() if host == urlsplit(one.upload).hostname), None)
    refuses = publishing.refuses if same else None
    return Destination(text, Kind.INDEX, refuses, text, index or (same.index if same else None))


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{cut(url)} is no URL of a server (expected https://HOST/PATH)"
        raise PublishError(
            msg, hint="take it from the documentation of the index: the URL for uploads, not the one for pip"
        )
    if parts.password is not None or parts.username is not None:
        # It would stand in the list of processes, and in logs.
        msg = f"the URL of {parts.hostname} has credentials in it (found user@, expected none)"
        raise PublishError(msg, hint="set TWINE_USERNAME and TWINE_PASSWORD, or UV_PUBLISH_TOKEN, or use a keyring")
