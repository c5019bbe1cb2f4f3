"""A cell that arrives from another machine: what travels is whole and bounded, and another gpuwheel builds nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._environment import travelling
from gpuwheel._limits import CLUSTER_BLOB
from gpuwheel._resources import resource
from gpuwheel.errors import NetworkError, ToolchainError
from gpuwheel.matrix.executors.arriving import Request, build_here, checked_blob, own_version, whole_blob
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.matrix.tasks import Task

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = ("AWS_SECRET_ACCESS_KEY", "GPUWHEEL_REMOTE_KEY", "TOKEN", "PIP_INDEX_URL")
TASK = Task("nvcc-cu13.0-cp311-linux_x86_64", "3.11", {"gpuwheel.only": "x"}, ("device",), "key")


def _request(**environ: str) -> Request:
    return Request(TASK, own_version(), "a-1.tar.gz", "0" * 64, travelling(environ), None)


def test_a_request_is_data_and_has_no_secret() -> None:
    request = _request(CXXFLAGS="-O2", **dict.fromkeys(SECRETS, "marked"))
    text = json.dumps(request.as_json())
    assert Request.from_json(json.loads(text)) == request
    assert request.environment == {"CXXFLAGS": "-O2"}
    assert "marked" not in text


def test_sources_that_are_not_here_are_asked_for(tmp_path: Path) -> None:
    answer = build_here(_request(), None, {"GPUWHEEL_CACHE_DIR": str(tmp_path)}, lambda _: None, lambda: True)
    assert answer == {"lacks": "0" * 64}


def test_sources_that_are_others_are_refused(tmp_path: Path) -> None:
    answer = build_here(_request(), b"others", {"GPUWHEEL_CACHE_DIR": str(tmp_path)}, lambda _: None, lambda: True)
    assert answer["failed"]["exit_code"] == NetworkError.exit_code
    assert sha256(b"others").hexdigest() in answer["failed"]["message"]


def test_another_gpuwheel_builds_nothing_and_both_are_named(tmp_path: Path) -> None:
    request = replace(_request(), gpuwheel="9.9.9 (abc)")
    answer = build_here(request, None, {"GPUWHEEL_CACHE_DIR": str(tmp_path)}, lambda _: None, lambda: True)
    assert answer["failed"]["exit_code"] == ToolchainError.exit_code
    assert f"found {own_version()}, expected 9.9.9 (abc)" in answer["failed"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_machines_tell_gpuwheels_apart_by_every_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert own_version() == own_wheel(Cache(tmp_path)).version
    package = resource("include").parent
    copied = tmp_path / "gpuwheel"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("gpuwheel.matrix.own_wheel.resource", lambda name: copied / name)
    found = {own_version()}
    for name in ("cmake/GpuWheelNvcc.cmake", "include/rtc/bit"):
        with (copied / name).open("ab") as file:
            file.write(b"\n")
        found.add(own_version())
    assert len(found) == 3


def test_what_was_damaged_on_its_way_is_told() -> None:
    data = b"a wheel"
    assert checked_blob(data, sha256(data).hexdigest(), "a.whl") is data
    with pytest.raises(NetworkError, match="damaged on its way"):
        checked_blob(data[:-1], sha256(data).hexdigest(), "a.whl")


def test_what_is_too_large_does_not_travel(tmp_path: Path) -> None:
    path = tmp_path / "a-1.tar.gz"
    with path.open("wb") as file:
        file.truncate(CLUSTER_BLOB.value + 1)
    with pytest.raises(NetworkError, match="cluster-blob"):
        whole_blob(path, "0" * 64)
