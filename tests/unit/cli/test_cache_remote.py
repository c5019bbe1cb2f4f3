"""`gpuwheel cache key` and `gpuwheel cache remote`."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from transcript import follow, read_steps

from gpuwheel._cache import Cache
from gpuwheel.cli import main
from gpuwheel.compile.reuse.remote.finding import find_remote
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.config.reading.variables import other_variables
from gpuwheel.model.reporter import SilentReporter

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def _cache(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, ["cache", *words], env=variables)


def test_a_pair_is_made_once_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "main.key"
    made = _cache("key", "--new", str(file))
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("ed25519:")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text()
    assert secret.strip() not in made.output
    assert _cache("key", str(file)).stdout == made.stdout
    assert _cache("key", GPUWHEEL_REMOTE_KEY=secret).stdout == made.stdout
    again = _cache("key", "--new", str(file))
    assert again.exit_code == 15
    assert file.read_text() == secret


def test_without_a_key_it_says_where_one_would_be(tmp_path: Path) -> None:
    assert _cache("key").exit_code == 3
    assert "cache key --new" in _cache("key").stderr
    assert _cache("key", "--new").exit_code == 2
    (tmp_path / "key").write_text("ed25519:nothing")
    assert _cache("key", str(tmp_path / "key")).exit_code == 3


def test_what_the_remote_holds_and_by_whom_it_is_signed(tmp_path: Path) -> None:
    public = _cache("key", "--new", str(tmp_path / "main.key")).stdout.strip()
    other = _cache("key", "--new", str(tmp_path / "other.key")).stdout.strip()
    remote = tmp_path / "remote"
    remote.mkdir()
    for name, level in [("main", "main"), ("other", "main"), ("other", "pr-1")]:
        environ = {
            "HOME": str(tmp_path),
            "GPUWHEEL_REMOTE": remote.as_uri(),
            "GPUWHEEL_REMOTE_WRITE": level,
            "GPUWHEEL_REMOTE_KEY_FILE": str(tmp_path / f"{name}.key"),
        }
        cache = Cache(tmp_path / name)
        tier = find_remote(environ, SilentReporter())
        assert tier is not None
        ContentStore(cache, "images", tier).save(name, Stored({}, b"code"))
        tier.share(cache)
    said = _cache("remote", GPUWHEEL_REMOTE=remote.as_uri(), GPUWHEEL_REMOTE_TRUST=f"main={public} pr-1={other}")
    assert said.exit_code == 0, said.output
    assert "main: 2 entries" in said.stdout
    assert f"1 of 2 looked at are signed by {public} (trusted)" in said.stdout
    assert f"1 of 2 looked at are signed by {other} (not trusted: never used)" in said.stdout
    assert "pr-1: 1 entries" in said.stdout
    assert "writes    nothing" in said.stdout


def test_it_is_tried_whether_the_remote_can_be_written(tmp_path: Path) -> None:
    _cache("key", "--new", str(tmp_path / "main.key"))
    remote = tmp_path / "remote"
    remote.mkdir()
    variables = {
        "GPUWHEEL_REMOTE": remote.as_uri(),
        "GPUWHEEL_REMOTE_WRITE": "main",
        "GPUWHEEL_REMOTE_KEY_FILE": str(tmp_path / "main.key"),
    }
    said = _cache("remote", "--try-write", **variables)
    assert said.exit_code == 0, said.output
    assert (remote / "main" / "probe").is_file()


def test_a_remote_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert _cache("remote").exit_code == 0
    assert "no remote is set" in _cache("remote").stdout
    missing = (tmp_path / "missing").as_uri()
    said = _cache("remote", GPUWHEEL_REMOTE=missing, GPUWHEEL_REMOTE_TRUST=f"main=ed25519:{'A' * 43}=")
    assert said.exit_code == 6
    assert "missing" in said.stderr
    assert "hint:" in said.stderr


def test_the_guide_prints_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "share-compiled-work.md").read_text(encoding="utf-8")
    named = set(re.findall(r"GPUWHEEL_REMOTE\w*", page))
    assert named <= other_variables(), "variables that are spelled wrong"
    remote = tmp_path / "remote"
    remote.mkdir()
    environ = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    make, *others = (step for step in read_steps(page.replace("9tzK", "")) if step.command.startswith("gpuwheel"))
    follow([make], tmp_path, environ)
    public = _cache("key", str(tmp_path / "main.key")).stdout.strip()
    said = {"GPUWHEEL_REMOTE": remote.as_uri(), "GPUWHEEL_REMOTE_TRUST": f"main={public}"}
    writes = {"GPUWHEEL_REMOTE_WRITE": "main", "GPUWHEEL_REMOTE_KEY_FILE": str(tmp_path / "main.key")}
    cache = Cache(tmp_path / "cache")
    tier = find_remote({"HOME": str(tmp_path), **said, **writes}, SilentReporter())
    assert tier is not None
    ContentStore(cache, "images", tier).save("one", Stored({}, b"code"))
    tier.share(cache)
    assert others
    text = page.replace("s3://bucket/gpuwheel", remote.as_uri()).replace("9tzK...", public.removeprefix("ed25519:"))
    text = re.sub(r"\b[\d.]+(?= entries| of| MB| looked)", "...", text)
    others = [step for step in read_steps(text) if step.command.startswith("gpuwheel cache remote")]
    follow(others, tmp_path, {**environ, **said})
