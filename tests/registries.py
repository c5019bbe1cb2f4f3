"""Debian's docker-registry on loopback: the program that most registries are made of."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PASSWORD", "USER", "docker_registry", "require_programs"]

USER, PASSWORD = "somebody", "correct horse"
_PATIENCE = 60.0


def require_programs(*names: str) -> None:
    """Skip a test for what this machine lacks."""
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)} (apt install docker-registry apache2-utils skopeo)")


@contextmanager
def docker_registry(folder: Path, *, password: bool = False) -> Iterator[str]:
    """`HOST:PORT` of an empty registry; with `password`, for USER alone."""
    require_programs("docker-registry", *(["htpasswd"] if password else []))
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    text = f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
    text += f"http: {{addr: '{host}'}}\n"
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
            return  # it wants a password
        except OSError:
            time.sleep(0.05)
        else:
            return
    msg = f"nobody listens at {host}"
    raise TimeoutError(msg)
