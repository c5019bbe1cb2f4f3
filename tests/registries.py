"""Debian's docker-registry on loopback: the program that most registries are made of."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PASSWORD", "USER", "HoldingProxy", "docker_registry", "require_programs"]

USER, PASSWORD = "somebody", "correct horse"
_PATIENCE = 60.0


def require_programs(*names: str) -> None:
    """Skip a test for what this machine lacks."""
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)} (apt install docker-registry apache2-utils skopeo)")


class HoldingProxy:
    """Stands before a server, and breaks or holds connections once so many bytes have gone to it."""

    def __init__(self, target: str, *, upload: bool) -> None:
        """Count what goes to `target` (`upload`) or what comes from it."""
        self._target, self._upload = target.rsplit(":", 1), upload
        self._lock = threading.Lock()
        self.passed = 0
        self.breaks: list[int] = []
        """At so many bytes: break the connection that brings them; lowest first."""
        self.breaks_before = b""
        """Only ahead of a request that begins so."""
        self.hold: int | None = None
        """At so many bytes: nothing goes on."""
        self.held = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection((self._target[0], int(self._target[1])))
            for source, sink, counts in ((near, far, self._upload), (far, near, not self._upload)):
                threading.Thread(target=self._pump, args=(source, sink, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:  # noqa: FBT001
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counts and self._stops(data):
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _stops(self, data: bytes) -> bool:
        with self._lock:
            self.passed += len(data)
            if self.hold is not None and self.passed >= self.hold:
                self.held.set()
                time.sleep(_PATIENCE)
                return True
            if self.breaks and self.passed >= self.breaks[0] and data.startswith(self.breaks_before):
                self.breaks.pop(0)
                return True
            return False


@contextmanager
def docker_registry(folder: Path, *, password: bool = False, tls: bool = False) -> Iterator[str]:
    """`HOST:PORT` of an empty registry; with `password`, for USER alone; with `tls`, by `folder/cert.pem`."""
    require_programs("docker-registry", *(["htpasswd"] if password else []), *(["openssl"] if tls else []))
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    text = f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if tls:
        words = ["-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key]
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *words])
    keys = f", tls: {{certificate: {certificate}, key: {key}}}" if tls else ""
    text += f"http: {{addr: '{host}'{keys}}}\n"
    if password:
        lines = run(["htpasswd", "-Bbn", USER, PASSWORD]).stdout
        (folder / "htpasswd").write_text(lines)
        text += f"auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}\n"
    (folder / "registry.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(folder / "registry.yml")]
        with subprocess.Popen(command, stdout=log, stderr=log) as server:
            try:
                _wait_for(host)
                yield host
            finally:
                server.terminate()


def _wait_for(host: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://{host}/v2/", timeout=1).close()
        except urllib.error.HTTPError:  # noqa: PERF203  # it waits anyway
            return  # it wants a password, or TLS
        except OSError:
            time.sleep(0.05)
        else:
            return
    msg = f"nobody listens at {host}"
    raise TimeoutError(msg)
