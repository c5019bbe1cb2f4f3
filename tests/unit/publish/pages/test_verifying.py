"""--verify: what differs is named, and nothing is written; --serve: what a browser and installers get."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner
from small_wheels import TIME, small_wheel

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.publish.pages import index_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    small_wheel(folder)
    small_wheel(folder, "other")
    assert CliRunner().invoke(main, ["index", str(folder)]).exit_code == 0
    return folder


def _verified(folder: Path) -> tuple[int, dict[str, str]]:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = CliRunner().invoke(main, ["index", str(folder), "--verify", "--json"])
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "index_verify.schema.json").read_text(encoding="utf-8")))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return result.exit_code, {one["path"]: one["problem"] for one in document["differences"]}


def test_an_index_as_it_was_written(dist: Path) -> None:
    assert _verified(dist) == (0, {})


def _swap(folder: Path) -> None:
    """Put other bytes of the same size and time into a wheel, as size, time and inode do not show."""
    wheel = folder / "ops-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"\1")
    os.utime(wheel, (TIME, TIME))


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        (_swap, "ops-1.0-py3-none-any.whl", "is another"),
        (lambda f: (f / "simple/ops/index.html").write_bytes(b"x"), "simple/ops/index.html", "is another"),
        (lambda f: (f / "simple/index.json").unlink(), "simple/index.json", "cannot be read"),
        (
            lambda f: (f / "ops-1.0-py3-none-any.whl.metadata").write_bytes(b"x"),
            "ops-1.0-py3-none-any.whl.metadata",
            "is another",
        ),
        (lambda f: small_wheel(f, "new"), "new-1.0-py3-none-any.whl", "not in the index yet"),
        (lambda f: (f / "ops-1.0-py3-none-any.whl").unlink(), "ops-1.0-py3-none-any.whl", "has it no more"),
        (
            lambda f: (f / "ops-1.0-py3-none-any.whl.yanked").write_bytes(b"x"),
            "simple/ops/index.html",
            "not what would be written now",
        ),
        (lambda f: (f / ".gpuwheel/index.json").unlink(), "index.json", "nothing to compare with"),
    ],
)
def test_what_differs_is_named(change: Callable[[Path], object], path: str, problem: str, dist: Path) -> None:
    change(dist)
    code, found = _verified(dist)
    assert code == 9
    assert problem in found[path]


def test_a_changed_file_that_no_time_shows_is_published_by_fresh(dist: Path) -> None:
    _swap(dist)
    assert CliRunner().invoke(main, ["index", str(dist)]).exit_code == 0
    assert _verified(dist)[0] == 9
    CliRunner().invoke(main, ["index", str(dist), "--fresh"])
    assert "ops-1.0-py3-none-any.whl" not in _verified(dist)[1]


def test_the_server_answers_as_pep_691_asks_and_hides_what_is_hidden(dist: Path) -> None:
    def answer(path: str, **headers: str) -> tuple[int, str, bytes]:
        request = urllib.request.Request(f"{url}{path}", headers=headers)  # noqa: S310 (of this machine)
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310 (of this machine)
                return response.status, response.headers["Content-Type"], response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, "", b""

    with index_server(dist) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        json_type = "application/vnd.pypi.simple.v1+json"
        page = (dist / "simple" / "ops" / "index.json").read_bytes()
        assert answer("/simple/ops/", Accept=json_type) == (200, json_type, page)
        assert answer("/simple/ops/", Accept=f"{json_type}, text/html; q=0.1") == (200, json_type, page)
        assert answer("/simple/ops/")[1].startswith("text/html")
        assert answer("/ops-1.0-py3-none-any.whl.metadata")[:2] == (200, "application/octet-stream")
        for path in ("/.gpuwheel/index.json", "/simple/../.gpuwheel/index.json", "/%2egpuwheel/index.json", "/choose/"):
            assert answer(path)[0] == 404, path
        assert answer("/simple/", Host="example.com")[0] == 404
        server.shutdown()
        thread.join()
