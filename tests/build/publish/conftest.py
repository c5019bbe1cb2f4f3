"""A real package index on this machine, which takes uploads with credentials."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "somebody", "correct-horse"  # of a server that lives as long as a test


@dataclass
class Registry:
    """A pypiserver."""

    url: str
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    """What a person sets who may upload."""

    @property
    def simple(self) -> str:
        return f"{self.url}simple/"

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture(params=[()])
def registry(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Registry]:
    """Parametrised with further options of pypiserver."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "served").mkdir()
    sha = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()  # noqa: S324  # as .htpasswd has it
    (tmp_path / "htpasswd").write_text(f"{USER}:{{SHA}}{sha}\n", encoding="utf-8")
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), "--disable-fallback"]
    command += ["-P", str(tmp_path / "htpasswd"), "--backend", "simple-dir", *request.param, str(tmp_path / "served")]
    with (tmp_path / "registry.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(url, server)
            secrets = {"TWINE_USERNAME": USER, "TWINE_PASSWORD": PASSWORD}
            secrets |= {"UV_PUBLISH_USERNAME": USER, "UV_PUBLISH_PASSWORD": PASSWORD}
            yield Registry(url, tmp_path / "served", {**os.environ, **secrets})
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # the server above
                return
        except OSError:  # noqa: PERF203  # it takes what it takes to start
            time.sleep(0.05)
    pytest.fail("pypiserver did not answer")
