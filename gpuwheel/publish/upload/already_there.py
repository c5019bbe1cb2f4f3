"""What a package index lists of a project: files by name, with the digests that it states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.index.context import Traffic
from gpuwheel.index.pages import html_links, json_links
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import NotOnServerError, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["already_there"]

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.1"


def already_there(index: str, project: str, environ: Mapping[str, str]) -> dict[str, str | None]:
    """File -> sha256, `None` where the index states none; empty for a project that it does not know.

    Args:
        index: URL of the simple repository API (PEP 503, PEP 691).
        project: normalised name.
        environ: where proxies, certificates and credentials are set, as for pip.

    Raises:
        NetworkError: it cannot be asked.
    """
    base = index.rstrip("/")
    settings = replace(read_index_settings(environ), indexes=(base,), find_links=())
    transport = Transport(settings, Traffic())
    try:
        page = transport.page(f"{base}/{project}/", _ACCEPT)
    except NotOnServerError:
        return {}
    finally:
        transport.close()
    is_json = page.content_type.split(";")[0].strip().lower() == _JSON
    links = (json_links if is_json else html_links)(page.content, page.url)
    return {link.filename: link.sha256 for link in links}
