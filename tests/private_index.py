"""The user's package index behind a password: pages and files of the real one, for who signs in."""

from __future__ import annotations

import base64
import http.server
import re
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PrivateIndex", "private_index"]

_USER, _PASSWORD = "somebody", "open-sesame"
_HREF = re.compile(r'(<a\s[^>]*?href=")([^"#]+)')


@dataclass
class PrivateIndex:
    """One that wants a password."""

    port: int
    behind: str
    """The index that has the files."""
    user: str = _USER
    password: str = _PASSWORD
    served: list[str] = field(default_factory=list)
    """Paths that were answered to who signed in."""
    refused: list[str] = field(default_factory=list)
    """Paths that were asked for without the password."""

    @property
    def url(self) -> str:
        """With the password in it, as users write it."""
        return f"http://{self.user}:{self.password}@127.0.0.1:{self.port}/simple"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    index: PrivateIndex

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the standard library
        del format, args

    def do_GET(self) -> None:
        index = self.index
        expected = base64.b64encode(f"{index.user}:{index.password}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            index.refused.append(self.path)
            return self._send(401, b"", {"WWW-Authenticate": 'Basic realm="index"'})
        index.served.append(self.path)
        is_page = self.path.startswith("/simple/")
        url = (
            f"{index.behind}/{self.path.removeprefix('/simple/')}" if is_page else unquote(self.path[len("/files/") :])
        )
        asked = {"Accept": "text/html"} if is_page else {"Range": span} if (span := self.headers.get("Range")) else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=asked)) as answer:  # noqa: S310
                data, status, headers = answer.read(), answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return self._send(error.code, b"", {})
        if is_page:
            data = _HREF.sub(lambda found: found[1] + self._through(urljoin(url, found[2])), data.decode()).encode()
        kept = ("Content-Range", "Content-Type", "Accept-Ranges", "ETag")
        return self._send(status, data, {name: headers[name] for name in kept if name in headers})

    @staticmethod
    def _through(url: str) -> str:
        # The name of the file stays last: installers read it there.
        return f"/files/{quote(url, safe='/')}"

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def private_index(behind: str) -> Iterator[PrivateIndex]:
    """The index at URL `behind`, on a port of this machine, while the block runs."""
    handler = type("Handler", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        index = handler.index = PrivateIndex(server.server_port, behind.rstrip("/"))  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
