"""A local proxy that counts the bytes that pass through it: the same count for pip, uv and gpuwheel.

Only CONNECT: indexes are https. What is counted is what the sockets receive from outside, TLS and headers included.
"""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CountingProxy", "counting_proxy"]

_CHUNK = 1 << 18
_TIMEOUT_S = 60


class CountingProxy:
    """Listens on a port of this machine; `received` grows while others download."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._lock = threading.Lock()
        self.received = 0
        """Bytes that came from outside."""

    @property
    def url(self) -> str:
        """For HTTPS_PROXY."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until the listening socket is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(_CHUNK)
                if not data:
                    return
                head += data
            method, target, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 501 Only CONNECT\r\n\r\n")
                return
            host, _, port = target.rpartition(":")
            try:
                outside = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
            except OSError:
                client.sendall(b"HTTP/1.1 502 No connection\r\n\r\n")
                return
            with outside:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._copy_both_ways(client, outside)

    def _copy_both_ways(self, client: socket.socket, outside: socket.socket) -> None:
        outside.settimeout(None)
        other = {client: outside, outside: client}
        with selectors.DefaultSelector() as selector:
            for end in other:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    end = outside if key.fileobj is outside else client
                    data = end.recv(_CHUNK)
                    if not data:
                        return
                    if end is outside:
                        with self._lock:
                            self.received += len(data)
                    other[end].sendall(data)


@contextmanager
def counting_proxy() -> Iterator[CountingProxy]:
    """A proxy that runs as long as the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = CountingProxy(server)
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
