"""The scripts that refresh the tables, against the real package index."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gpuwheel._run import Completed, run
from gpuwheel._toml import parse_toml

ROOT = Path(__file__).resolve().parents[2]
MAJORS = range(1, 10)

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts and the tables, to write in."""
    shutil.copytree(ROOT / "ci", tmp_path / "ci", ignore=shutil.ignore_patterns("bench", "__pycache__"))
    shutil.copytree(ROOT / "gpuwheel" / "data", tmp_path / "gpuwheel" / "data")
    return tmp_path


def _update(checkout: Path, name: str, *options: str) -> Completed:
    return run([sys.executable, checkout / "ci" / "tables" / f"update_{name}.py", *options], cwd=checkout, check=False)


@pytest.mark.heavy
def test_pins_are_what_the_index_has(checkout: Path) -> None:
    checked = _update(checkout, "pins", "--check")
    assert checked.returncode == 0, checked.output
    assert "pins.toml: up to date" in checked.stdout


def test_stale_pin_is_shown_refused_and_mended(checkout: Path) -> None:
    table = checkout / "gpuwheel" / "data" / "pins.toml"
    right = table.read_text(encoding="utf-8")
    wrong = right.replace("size = 89568129", "size = 1")
    assert wrong != right
    table.write_text(wrong, encoding="utf-8")

    checked = _update(checkout, "pins", "--check")
    assert checked.returncode == 1
    assert '-    { filename = "nvidia_cuda_nvrtc_cu12-12.9.86' in checked.stdout
    assert "pins.toml: stale" in checked.stdout
    assert table.read_text(encoding="utf-8") == wrong

    assert _update(checkout, "pins").returncode == 0
    assert table.read_text(encoding="utf-8") == right


@pytest.mark.heavy
def test_newer_patch_release_is_named_and_not_taken(checkout: Path) -> None:
    table = checkout / "gpuwheel" / "data" / "pins.toml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace('version = "12.9.86"', 'version = "12.9.41"'), encoding="utf-8")
    updated = _update(checkout, "pins")
    assert "not in the table: nvidia-cuda-nvrtc-cu12 12.9.86 (pinned: 12.9.41)" in updated.stdout
    assert 'version = "12.9.41"' in table.read_text(encoding="utf-8")


def test_version_that_the_index_lacks_ends_without_writing(checkout: Path) -> None:
    table = checkout / "gpuwheel" / "data" / "pins.toml"
    wrong = table.read_text(encoding="utf-8").replace('version = "12.9.86"', 'version = "12.9.999"')
    table.write_text(wrong, encoding="utf-8")
    updated = _update(checkout, "pins")
    assert updated.returncode == 1
    assert "nvidia-cuda-nvrtc-cu12 12.9.999 is not on the index (newest: 12.9.86)" in updated.stderr
    assert table.read_text(encoding="utf-8") == wrong


def test_toolkit_rows_name_the_newest_wheels(checkout: Path) -> None:
    table = checkout / "gpuwheel" / "data" / "cuda.toml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("cuda-toolkit==12.9.2.0", "cuda-toolkit==12.9.0"), encoding="utf-8")
    checked = _update(checkout, "cuda", "--check")
    assert checked.returncode == 1
    assert '+toolkit = "cuda-toolkit==12.9.2.0"' in checked.stdout


def test_symbols_of_a_glibc_that_was_released_do_not_change(checkout: Path) -> None:
    checked = _update(checkout, "glibc", "--check")
    assert "glibc.toml" in checked.stdout, checked.output
    removed = [line for line in checked.stdout.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert all(line.startswith("-source") for line in removed), removed


def test_policies_once_published_do_not_change(checkout: Path) -> None:
    checked = _update(checkout, "platforms", "--check")
    assert "platforms.toml" in checked.stdout, checked.output
    assert "\n-manylinux" not in checked.stdout


def test_gpus_of_clouds_have_the_compute_capability_of_the_table(checkout: Path) -> None:
    checked = _update(checkout, "gpus", "--check")
    assert "gpus.toml" in checked.stdout, checked.output
    table = checkout / "gpuwheel" / "data" / "gpus.toml"
    wrong = table.read_text(encoding="utf-8").replace('"A100", ', "").replace('"GH200", ', '"GH200", "A100", ')
    table.write_text(wrong, encoding="utf-8")
    assert "differs: A100 is 8.0 there, 9.0 here" in _update(checkout, "gpus", "--check").stdout


@pytest.mark.heavy
def test_sdk_is_what_every_wheel_on_the_index_holds(checkout: Path) -> None:
    # Rows may be stale, because torch was released since; the SDK's wheels never change.
    checked = _update(checkout, "torch", "--check")
    assert "torch.toml" in checked.stdout, checked.output
    assert "digest" not in checked.stdout
    assert "holds other headers" not in checked.stdout


class _GitHub(BaseHTTPRequestHandler):
    """Two releases of everything, the newer one by an annotated tag, and a next major."""

    def do_GET(self) -> None:
        ref = "refs/tags/v{}".format
        answers = {
            "/matching-refs/tags/v": [
                {"ref": ref(major), "object": {"type": "commit", "sha": "0" * 40}} for major in MAJORS
            ]
            + [{"ref": ref(f"{major}.999.1"), "object": {"type": "tag", "sha": f"a{major}"}} for major in MAJORS]
            + [{"ref": ref("999.0.0"), "object": {"type": "commit", "sha": "9" * 40}}],
            **{f"/tags/a{major}": {"object": {"type": "commit", "sha": f"{major:040x}"}} for major in MAJORS},
        }
        found = next((answer for end, answer in answers.items() if self.path.endswith(end)), None)
        body = json.dumps(found).encode()
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Docker-Content-Digest", f"sha256:{'d' * 64}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_actions_and_images_are_named_by_what_their_tags_mean_today(checkout: Path) -> None:
    shutil.copytree(ROOT / "templates", checkout / "templates")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    hosts = {"GPUWHEEL_GITHUB_API": url, "GPUWHEEL_IMAGE_REGISTRY": url}
    script = [sys.executable, checkout / "ci" / "tables" / "update_ci.py"]
    try:
        assert run([*script, "--check"], cwd=checkout, env={**os.environ, **hosts}, check=False).returncode == 1
        updated = run(script, cwd=checkout, env={**os.environ, **hosts})
    finally:
        server.shutdown()
        server.server_close()
    text = (checkout / "gpuwheel" / "data" / "ci.toml").read_text(encoding="utf-8")
    for row in parse_toml(text.encode())["actions"].values():
        major = int(row["version"].removeprefix("v").partition(".")[0])
        assert (row["version"], row["commit"]) == (f"v{major}.999.1", f"{major:040x}")
    assert f"_cuda12_9@sha256:{'d' * 64}" in text
    assert "checkout v999.0.0" in updated.stdout  # a new major is a person's decision
    workflows = checkout / "templates" / "shared" / ".github" / "workflows"
    workflow = (workflows / "wheels.yml.jinja").read_text(encoding="utf-8")
    assert f"actions/checkout@{7:040x} # v7.999.1" in workflow


def test_what_cannot_be_asked_stays_and_is_named(checkout: Path) -> None:
    (checkout / "templates").mkdir()
    table = checkout / "gpuwheel" / "data" / "ci.toml"
    before = parse_toml(table.read_bytes())["actions"]
    hosts = {"GPUWHEEL_GITHUB_API": "http://127.0.0.1:1", "GPUWHEEL_IMAGE_REGISTRY": "http://127.0.0.1:1"}
    script = [sys.executable, checkout / "ci" / "tables" / "update_ci.py"]
    updated = run(script, cwd=checkout, env={**os.environ, **hosts})
    assert "releases of actions/checkout, which could not be asked for" in updated.stdout
    assert parse_toml(table.read_bytes())["actions"] == before


class _Warehouse(BaseHTTPRequestHandler):
    """Sources of PyPI's server with other limits; those of its metadata are gone."""

    def do_GET(self) -> None:
        texts = {
            "constants.py": "ONE_MIB = 1 * 1024 * 1024\nONE_GIB = 1 * 1024 * ONE_MIB\nMAX_FILESIZE = 200 * ONE_MIB\n"
            "MAX_PROJECT_SIZE = 20 * ONE_GIB\n",
            "legacy.py": "COMPRESSION_RATIO_MIN_SIZE = 64 * ONE_MIB\nCOMPRESSION_RATIO_THRESHOLD = 50\nx = y()\n",
        }
        text = next((text for end, text in texts.items() if self.path.endswith(end)), None)
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        pass


def test_limits_of_pypi_are_read_from_its_sources_and_what_is_gone_is_named(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = checkout / "gpuwheel" / "data" / "publish.toml"
    before = parse_toml(table.read_bytes())
    with ThreadingHTTPServer(("127.0.0.1", 0), _Warehouse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("GPUWHEEL_GITHUB_RAW", f"http://127.0.0.1:{server.server_address[1]}")
        stale, updated = _update(checkout, "publish", "--check"), _update(checkout, "publish")
        server.shutdown()
    assert (stale.returncode, updated.returncode) == (1, 0), updated.output
    assert "metadata.py of PyPI's server, which could not be asked for" in updated.stdout
    after = parse_toml(table.read_bytes())
    limits = {"file": 200 << 20, "project": 20 << 30, "expansion": 50, "expanded-from": 64 << 20}
    assert after["refuses"] == {**before["refuses"], **limits}
    assert after["kernels"]["requires"].keys() >= {"einops"}
