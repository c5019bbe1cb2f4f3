"""Publishing into a static index on disk: what is new is copied and listed, and nothing that is there is replaced."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from made_wheels import INFO, made

from gpuwheel.cli import main
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import PublishError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.upload.destinations import destination_of
from gpuwheel.publish.upload.release import PublishRequest, check_release, send_release
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

WHEEL = made().name


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "dist").mkdir()
    write_wheel(tmp_path / "dist" / WHEEL, made().members().values())
    return tmp_path / "dist"


def _run(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def _publish(folder: Path, *words: object) -> Result:
    return _run("publish", "--to", f"index:{folder}", "--tag", "v1", "--json", *words)


def _document(done: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_files_go_in_and_pages_name_them(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert _publish(site, "--dry-run", dist).exit_code == 0
    assert not site.exists()
    done = _publish(site, dist)
    assert [file["state"] for file in _document(done)["files"]] == ["sent"]
    assert (site / "ops" / WHEEL).read_bytes() == (dist / WHEEL).read_bytes()
    page = (site / "simple" / "ops" / "index.html").read_text(encoding="utf-8")
    assert f"../../ops/{WHEEL}" in page
    assert [file["state"] for file in _document(_publish(site, dist))["files"]] == ["there"]


def test_what_is_there_stays(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert _publish(site, dist).exit_code == 0
    before = (site / "ops" / WHEEL).read_bytes()
    write_wheel(dist / WHEEL, made(files={"ops/more.py": b"x = 1\n"}).members().values())
    done = _publish(site, dist)
    assert done.exit_code == 9
    assert [finding["rule"] for finding in _document(done)["findings"]] == ["other-bytes"]
    assert (site / "ops" / WHEEL).read_bytes() == before


def test_what_was_listed_before_is_listed_still(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    other = made(tag="py32-none-manylinux_2_17_x86_64")
    write_wheel(site / other.name, other.members().values())
    assert _run("index", site).exit_code == 0
    assert _publish(site, dist).exit_code == 0
    page = (site / "simple" / "ops" / "index.html").read_text(encoding="utf-8")
    assert other.name in page
    assert WHEEL in page


def test_an_index_of_files_elsewhere_does_not_lose_them(dist: Path, tmp_path: Path) -> None:
    site, wheels = tmp_path / "site", tmp_path / "wheels"
    wheels.mkdir()
    other = made(tag="py32-none-manylinux_2_17_x86_64")
    write_wheel(wheels / other.name, other.members().values())
    assert _run("index", wheels, "-o", site, "--copy").exit_code == 0
    page = (site / "simple" / "ops" / "index.html").read_bytes()
    done = _publish(site, dist)
    assert (done.exit_code, other.name in done.stderr) == (21, True)
    assert (site / "simple" / "ops" / "index.html").read_bytes() == page


def test_variants_bring_what_tells_them_apart(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert _run("variants", dist / WHEEL, "-w", dist).exit_code == 0
    done = _publish(site, dist)
    assert done.exit_code == 0, done.output
    page = (site / "simple" / "ops" / "index.html").read_text(encoding="utf-8")
    for name in (WHEEL, WHEEL.replace(".whl", "-cu120.whl"), "ops-1-variants.json"):
        assert f">{name}<" in page


def test_what_a_killed_publisher_left_is_listed_by_the_next(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "ops").mkdir(parents=True)
    shutil.copy(dist / WHEEL, site / "ops")
    done = _publish(site, dist)
    assert [file["state"] for file in _document(done)["files"]] == ["sent"]
    assert WHEEL in (site / "simple" / "ops" / "index.html").read_text(encoding="utf-8")


def test_pages_that_name_a_server_keep_doing_so(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    other = made(tag="py32-none-manylinux_2_17_x86_64")
    write_wheel(site / other.name, other.members().values())
    assert _run("index", site, "--base-url", "https://files.example.com/wheels/").exit_code == 0
    done = _publish(site, dist)
    assert done.exit_code == 0, done.output
    files = json.loads((site / "simple" / "ops" / "index.json").read_bytes())["files"]
    wanted = {f"https://files.example.com/wheels/{path}" for path in (other.name, f"ops/{WHEEL}")}
    assert {file["url"] for file in files} == wanted
    assert [file["state"] for file in _document(_publish(site, dist))["files"]] == ["there"]


def test_pages_that_name_what_this_folder_cannot_tell_are_not_rewritten(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "some").mkdir(parents=True)
    other = made(tag="py32-none-manylinux_2_17_x86_64")
    write_wheel(site / "some" / other.name, other.members().values())
    assert _run("index", site / "some", "-o", site, "--base-url", "https://files.example.com/wheels").exit_code == 0
    page = (site / "simple" / "ops" / "index.html").read_bytes()
    done = _publish(site, dist)
    assert (done.exit_code, "--base-url" in done.stderr) == (21, True)
    assert (site / "simple" / "ops" / "index.html").read_bytes() == page


def test_two_publishers_at_once_lose_nothing(dist: Path, tmp_path: Path) -> None:
    site, more = tmp_path / "site", tmp_path / "more"
    more.mkdir()
    other = made(tag="py32-none-manylinux_2_17_x86_64")
    write_wheel(more / other.name, other.members().values())
    command = [sys.executable, "-m", "gpuwheel", "publish", "--to", f"index:{site}", "--tag", "v1"]
    running = [subprocess.Popen([*command, str(place)], env=dict(os.environ)) for place in (dist, more)]
    assert [process.wait(60) for process in running] == [0, 0]
    page = (site / "simple" / "ops" / "index.html").read_text(encoding="utf-8")
    assert WHEEL in page
    assert other.name in page


def test_without_a_folder_dist_it_is_said_what_is_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = _run("publish", "--dry-run")
    assert (done.exit_code, "dist" in done.stderr) == (2, True)


def test_what_somebody_put_there_meanwhile_stays(dist: Path, tmp_path: Path) -> None:
    to = destination_of(f"index:{tmp_path / 'site'}", load_publishing())
    request = PublishRequest([dist / WHEEL], to, {}, ("v1",))
    published = check_release(request, load_tables(), SilentReporter())
    (tmp_path / "site" / "ops").mkdir(parents=True)
    (tmp_path / "site" / "ops" / WHEEL).write_bytes(b"theirs")
    with pytest.raises(PublishError, match="meanwhile"):
        send_release(published, request, load_tables(), SilentReporter())
    assert [path.name for path in (tmp_path / "site" / "ops").iterdir()] == [WHEEL]
    assert (tmp_path / "site" / "ops" / WHEEL).read_bytes() == b"theirs"


def test_metadata_of_others_does_not_steer_the_terminal(dist: Path, tmp_path: Path) -> None:
    text = "Metadata-Version: 2.4\nName: ops\nVersion: 1\nRequires-Dist: torch>=2.10\nLicense-File: \x1b[2Jx\n"
    wheel = made(files={f"{INFO}/METADATA": text.encode()})
    write_wheel(dist / WHEEL, wheel.members().values())
    done = CliRunner().invoke(main, ["publish", "--to", f"index:{tmp_path / 'site'}", str(dist)], color=True)
    assert done.exit_code == 9
    assert "license-files" in done.stdout
    assert "\x1b[2J" not in done.stdout
