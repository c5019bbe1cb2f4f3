"""Uploads by twine and uv to a real package index: credentials, retries, what is there already, refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from made_wheels import made

from gpuwheel._resources import resource
from gpuwheel._run import Completed, run
from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Registry

SCHEMA = json.loads(resource("data", "publish.schema.json").read_text(encoding="utf-8"))
WHEEL = made().name


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    write_wheel(folder / WHEEL, made().members().values())
    for number in (2, 3):  # of one version, for other Pythons
        wheel = made(tag=f"py3{number}-none-manylinux_2_17_x86_64")
        write_wheel(folder / wheel.name, wheel.members().values())
    return folder


def _publish(dist: Path, registry: Registry, *words: str, **environ: str) -> Completed:
    command = [sys.executable, "-m", "gpuwheel", "publish", "--to", registry.url, "--check-url", registry.simple]
    return run([*command, "--tag", "v1", *words, dist], env={**registry.environ, **environ}, check=False)


def _states(done: Completed) -> list[str]:
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    return [file["state"] for file in document["files"]]


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_files_arrive_and_are_sent_once(tool: str, dist: Path, registry: Registry) -> None:
    dry = _publish(dist, registry, "--dry-run", "--json")
    assert (dry.returncode, _states(dry), registry.files) == (0, ["new"] * 3, [])

    first = _publish(dist, registry, "--with", tool, "--json")
    assert (first.returncode, _states(first)) == (0, ["sent"] * 3), first.output
    for name in registry.files:
        assert (registry.folder / name).read_bytes() == (dist / name).read_bytes()
    assert len(registry.files) == 3

    again = _publish(dist, registry, "--with", tool, "--json")
    assert (again.returncode, _states(again)) == (0, ["there"] * 3)


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_no_variable_leads_to_another_place(tool: str, dist: Path, registry: Registry) -> None:
    elsewhere = "http://127.0.0.1:9/"
    leading = {"TWINE_REPOSITORY": "pypi", "TWINE_REPOSITORY_URL": elsewhere}
    leading |= {f"UV_PUBLISH_{name}": elsewhere for name in ("URL", "CHECK_URL", "INDEX")}
    done = _publish(dist, registry, "--with", tool, **leading)
    assert done.returncode == 0, done.output
    assert len(registry.files) == 3


@pytest.mark.parametrize("registry", [("--hash-algo", "md5"), ("--hash-algo", "off")], indirect=True)
def test_an_index_without_digests_is_asked_for_the_files(dist: Path, registry: Registry) -> None:
    shutil.copy(dist / WHEEL, registry.folder)
    same = _publish(dist, registry, "--dry-run", "--json")
    assert sorted(_states(same)) == ["new", "new", "there"]
    write_wheel(registry.folder / WHEEL, made(files={"ops/more.py": b"x = 1\n"}).members().values())
    assert _publish(dist, registry, "--dry-run", "--json").returncode == 9


def test_other_bytes_under_a_name_that_is_there_are_an_error(dist: Path, registry: Registry) -> None:
    other = made(files={"ops/more.py": b"x = 1\n"})
    write_wheel(registry.folder / WHEEL, other.members().values())
    done = _publish(dist, registry, "--json")
    assert done.returncode == 9
    assert [finding["rule"] for finding in json.loads(done.stdout)["findings"]] == ["other-bytes"]
    assert registry.files == [WHEEL]


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_wrong_credentials_are_told_and_never_repeated(tool: str, dist: Path, registry: Registry) -> None:
    wrong = {"TWINE_PASSWORD": "battery-staple", "UV_PUBLISH_PASSWORD": "battery-staple"}
    done = _publish(dist, registry, "--with", tool, **wrong)
    assert done.returncode == 21
    assert "TWINE_PASSWORD" in done.stderr
    assert "battery-staple" not in done.output
    assert registry.files == []


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_without_credentials_nobody_is_asked(tool: str, dist: Path, registry: Registry, tmp_path: Path) -> None:
    environ = {name: value for name, value in registry.environ.items() if not name.startswith(("TWINE_", "UV_PUBLISH"))}
    registry.environ = {**environ, "HOME": str(tmp_path), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    done = _publish(dist, registry, "--with", tool)
    assert done.returncode == 21
    assert "UV_PUBLISH_TOKEN" in done.stderr


class _Slow(threading.Thread):
    """Between the tool and the index: hands on `passed` uploads, then holds the next one in the middle."""

    def __init__(self, target: tuple[str, int], passed: int) -> None:
        super().__init__(daemon=True)
        self._target, self._passed = target, passed
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.is_held = threading.Event()

    def run(self) -> None:
        while True:
            client, _ = self.server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = client.recv(1 << 16)
        if head.startswith(b"POST"):
            self._passed -= 1
            if self._passed < 0:
                self.is_held.set()
                return  # open, and silent
        upstream = socket.create_connection(self._target)
        upstream.sendall(head)
        threading.Thread(target=_pump, args=(upstream, client), daemon=True).start()
        _pump(client, upstream)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        sink.close()


@pytest.mark.parametrize("tool", ["twine", "uv"])
def test_after_a_kill_in_the_middle_the_same_command_goes_on(tool: str, dist: Path, registry: Registry) -> None:
    slow = _Slow(("127.0.0.1", int(registry.url.rsplit(":", 1)[1].rstrip("/"))), passed=1)
    slow.start()
    place = f"http://127.0.0.1:{slow.port}/"
    command = [sys.executable, "-m", "gpuwheel", "publish", "--to", place, "--check-url", registry.simple]
    process = subprocess.Popen([*command, "--tag", "v1", "--with", tool, dist], env=registry.environ)
    assert slow.is_held.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(registry.files) == 1

    done = _publish(dist, registry, "--with", tool, "--json")
    assert done.returncode == 0
    assert sorted(_states(done)) == ["sent", "sent", "there"]
    assert len(registry.files) == 3


def test_a_server_that_refuses_is_quoted(dist: Path, registry: Registry) -> None:
    with _refusing(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as url:
        command = [sys.executable, "-m", "gpuwheel", "publish", "--to", url, "--tag", "v1", "--with", "twine", dist]
        done = run(command, env=registry.environ, check=False)
    assert done.returncode == 21
    assert "413" in done.stderr
    assert "smaller" in done.stderr


class _refusing:  # noqa: N801  # used as a function
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __enter__(self) -> str:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            client.settimeout(0.5)
            try:
                while client.recv(1 << 16):
                    pass
            except OSError:
                pass
            client.sendall(self._answer)
            client.close()


def test_a_description_that_does_not_render_is_found_by_twine(dist: Path, registry: Registry) -> None:
    text = "Metadata-Version: 2.1\nName: ops\nVersion: 1\nDescription-Content-Type: text/x-rst\n\n.. nothing::\n\n`a\n"
    members = [Member("ops.py", b""), Member("ops-1.dist-info/METADATA", text.encode())]
    members.append(Member("ops-1.dist-info/WHEEL", b"Wheel-Version: 1.0\nTag: py3-none-any\n"))
    write_wheel(dist / "ops-1-py3-none-any.whl", members)
    done = _publish(dist, registry, "--dry-run", "--json")
    assert done.returncode == 9
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["rule"], finding["subject"]) == ("description", "ops-1-py3-none-any.whl")
    assert "line" in finding["problem"]


def test_of_a_twine_that_does_not_run_it_is_said_what_to_install(
    dist: Path, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "twine.py").write_text("raise SystemExit(7)\n", encoding="utf-8")
    done = _publish(dist, registry, "--with", "twine", PYTHONPATH=str(tmp_path))
    assert done.returncode == 21
    assert "gpuwheel[publish]" in done.stderr
    assert registry.files == []


def test_a_tag_of_the_checkout_is_compared(dist: Path, registry: Registry, tmp_path: Path) -> None:
    project = tmp_path / "checkout"
    project.mkdir()
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "x"], ["tag", "v2"]):
        run(["git", *words], cwd=project, env=dict(os.environ))
    command = [sys.executable, "-m", "gpuwheel", "publish", "--to", registry.url, "--dry-run", "--json", dist]
    environ = {name: value for name, value in registry.environ.items() if not name.startswith(("GITHUB_", "CI_"))}
    done = run(command, cwd=project, env=environ, check=False)
    assert done.returncode == 9
    assert json.loads(done.stdout)["tags"] == ["v2"]
    github = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}
    assert run(command, cwd=project, env={**environ, **github}, check=False).returncode == 0


def test_what_a_kill_leaves_is_no_process(dist: Path, registry: Registry) -> None:
    """An interrupt ends the tool too."""
    slow = _Slow(("127.0.0.1", int(registry.url.rsplit(":", 1)[1].rstrip("/"))), passed=0)
    slow.start()
    command = [sys.executable, "-m", "gpuwheel", "publish", "--to", f"http://127.0.0.1:{slow.port}/"]
    process = subprocess.Popen([*command, "--tag", "v1", "--with", "twine", dist], env=registry.environ)
    assert slow.is_held.wait(60)
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    assert process.wait(30) == 143
    assert time.monotonic() - start < 10
