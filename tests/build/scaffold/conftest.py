"""The command on a machine with a cache of its own; two releases, and a project that the older one has made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from template_releases import NEW, OLD, SOMEBODY, Release, commit, lines, make_release

from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of one machine: one cache, no git settings of whoever runs the tests."""
    return {**os.environ, **SOMEBODY, "GPUWHEEL_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def gpuwheel(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, **variables: str) -> Result:
        return CliRunner().invoke(main, words, env={**environ, **variables})

    return invoke


@pytest.fixture(scope="session")
def old_release(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Release:
    release = make_release(tmp_path_factory.mktemp("old"), "0.1.0", OLD, environ)
    assert release.seal().returncode == 0
    return release


@pytest.fixture(scope="session")
def new_release(environ: dict[str, str], old_release: Release, tmp_path_factory: pytest.TempPathFactory) -> Release:
    release = make_release(tmp_path_factory.mktemp("new"), "0.2.0", NEW, environ, bundle_of=old_release)
    assert release.seal().returncode == 0
    return release


@pytest.fixture(scope="session")
def edited_project(old_release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From the old release; edited here and there. To be copied, not changed."""
    project = tmp_path_factory.mktemp("edited") / "my-ops"
    made = old_release("new", project.name, "--defaults", "--data", "author=Ada", cwd=project.parent)
    assert made.returncode == 0, made.output
    commit(project, "Begin", old_release.environ)
    (project / "settings.txt").write_bytes(lines(l4="setting-4 = 'mine'"))
    (project / "unwanted.txt").unlink()
    (project / "own.py").write_text("OWN = True\n", encoding="utf-8")
    commit(project, "Edit", old_release.environ)
    return project


@pytest.fixture
def project(edited_project: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(edited_project, tmp_path / "my-ops"))
