"""An index of the wheels in a bucket of a server with the interface of S3, and that index copied beside them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import obstore
import pytest
from click.testing import CliRunner
from object_server import swift, swift_is_installed
from obstore.store import from_url
from small_wheels import small_wheel

from gpuwheel._process import environment
from gpuwheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.swift, pytest.mark.slow]


def test_wheels_of_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not swift_is_installed():
        pytest.skip("needs an object store (apt install swift-proxy swift-account swift-container swift-object)")
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    site, url = tmp_path / "site", "s3://wheels/ops"
    with swift(tmp_path / "swift", "wheels") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with environment(dict(os.environ)):
            store = from_url(url, client_options={"allow_http": True})
        wheels = [small_wheel(tmp_path, version=version, cuda="13.0") for version in ("1.0+cu13.0", "2.0")]
        for wheel in wheels:
            obstore.put(store, f"nightly/{wheel.name}", wheel.read_bytes())

        result = CliRunner().invoke(main, ["index", url, "-o", str(site), "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["read"] == 2
        page = json.loads((site / "simple" / "ops" / "index.json").read_bytes())
        assert page["files"][0]["url"] == "../../nightly/ops-1.0%2Bcu13.0-py3-none-any.whl"
        assert page["files"][0]["upload-time"] > "2026"

        # Copied to where the wheels are, the index is part of the bucket, and no wheel of it.
        for path in site.rglob("*"):
            if path.is_file() and ".gpuwheel" not in path.parts:
                obstore.put(store, path.relative_to(site).as_posix(), path.read_bytes())
        again = json.loads(CliRunner().invoke(main, ["index", url, "-o", str(site), "--json"]).stdout)
        assert (again["read"], again["files"], again["changed"]) == (0, 2, [])

        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        refused = CliRunner().invoke(main, ["index", url, "-o", str(site)])
        assert refused.exit_code == 6
        assert "cannot be listed" in refused.output
        assert "wrong" not in refused.output
