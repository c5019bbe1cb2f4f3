"""What a package index lists of a project: files by name, with their digests."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel._limits import DOWNLOAD
from gpuwheel.errors import NetworkError
from gpuwheel.index.context import Traffic
from gpuwheel.index.pages import html_links, json_links
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import NotOnServerError, Transport

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from gpuwheel.index.pages import Link

__all__ = ["already_there"]

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.1"


def already_there(index: str, project: str, environ: Mapping[str, str], wanted: Container[str]) -> dict[str, str]:
    """Those of `wanted` that an index lists -> their sha256, which is that of the file where the index states none.

    Args:
        index: URL of the simple repository API (PEP 503, PEP 691).
        project: normalised name.
        environ: where proxies, certificates and credentials are set, as for pip.
        wanted: names of files.

    Raises:
        NetworkError: it cannot be asked.
    """
    base = index.rstrip("/")
    settings = replace(read_index_settings(environ), indexes=(base,), find_links=())
    transport = Transport(settings, Traffic())
    try:
        page = transport.page(f"{base}/{project}/", _ACCEPT)
        is_json = page.content_type.split(";")[0].strip().lower() == _JSON
        links = (json_links if is_json else html_links)(page.content, page.url)
        listed = [link for link in links if link.filename in wanted]
        return {link.filename: link.sha256 or _digest(link, transport) for link in listed}
    except NotOnServerError:
        return {}
    finally:
        transport.close()


def _digest(link: Link, transport: Transport) -> str:
    """Of a file whose index states another digest, or none."""

    def transfer() -> str:
        sha256, left = hashlib.sha256(), DOWNLOAD.value
        with transport.body(link.url) as body:
            for chunk in body.chunks:
                sha256.update(chunk)
                left -= len(chunk)
                if left < 0:
                    msg = f"{link.filename} on the index does not end ({DOWNLOAD.passed('more')})"
                    raise NetworkError(msg)
        return sha256.hexdigest()

    return transport.retrying(transfer)
