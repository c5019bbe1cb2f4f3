"""An index on this machine, for a look: what any web server does, with the JSON pages for those who ask for them."""

from __future__ import annotations

import http.server
import posixpath
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["IndexHandler", "index_server", "is_own_host"]

_JSON = "application/vnd.pypi.simple.v1+json"
_ADDRESS = "127.0.0.1"
_OURS = {_ADDRESS, "localhost"}


class IndexHandler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder."""

    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012 (as the standard library has it)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".metadata": "application/octet-stream",
        ".whl": "application/octet-stream",
    }

    def send_head(self) -> Any:  # noqa: ANN401 (a file, or nothing)
        """Open what is asked for, where the one who asks may have it."""
        # A page of somebody else, whose name leads here, may not read this machine's files (DNS rebinding).
        if not is_own_host(self.headers.get("Host") or "") or self._is_hidden():
            self.send_error(404)
            return None
        if self.path.endswith("/") and _JSON in self.headers.get("Accept", ""):
            # PEP 691 asks for the exact type; who asks for both kinds of pages can read this one.
            self.path += "index.json"
        return super().send_head()

    def guess_type(self, path: Any) -> str:  # noqa: ANN401 (as the standard library has it)
        """Of JSON pages the type that PEP 691 names."""
        name = str(path)
        is_page = name.endswith("/index.json") and "/simple/" in name
        return _JSON if is_page else super().guess_type(path)

    def list_directory(self, path: Any) -> None:  # noqa: ANN401 (as the standard library has it)
        """Show no folder that has no page."""
        del path
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the standard library
        """Say nothing."""
        del format, args

    def _is_hidden(self) -> bool:
        path = posixpath.normpath(unquote(urlsplit(self.path).path))
        return any(part.startswith(".") for part in path.split("/"))


def is_own_host(host: str) -> bool:
    """Whether a header Host names this machine; at port 80 it has no port."""
    name, colon, port = host.partition(":")
    return name in _OURS and (not colon or port.isdecimal())


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


def index_server(
    folder: Path, port: int = 0, handler: type[IndexHandler] = IndexHandler
) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on the loopback address; it answers while its `serve_forever` runs.

    Args:
        folder: of the index.
        port: 0: any that is free.
        handler: what answers.

    Raises:
        OSError: the port is taken.
    """
    return _Server((_ADDRESS, port), partial(handler, directory=str(folder)))
