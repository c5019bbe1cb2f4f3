"""A later template, a later generator and a person change one CI file, through the real command of two releases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ci_files import parsed
from small_project import PYPROJECT
from template_releases import Release, commit, make_release, status

from gpuwheel.errors import MergeConflictError

FILE = ".github/workflows/wheels.yml"
JOB = """\
# written by `gpuwheel ci github`; edit between the marks
  # gpuwheel: begin yours (jobs)
  check:
    runs-on: ubuntu-24.04
    steps:
      - run: first check
      - run: second check
      - run: third check
  # gpuwheel: end yours
"""
MARKS = "  # gpuwheel: begin yours (env)\n"
OLD = {
    "embed/pyproject.toml": PYPROJECT.encode(),
    "embed/k.cu": b"",
    "embed/ops.cpp": b"",
    "shared/.github/workflows/wheels.yml": JOB.encode(),
    "shared/.gitlab-ci.yml.jinja": b"# written by `gpuwheel ci gitlab --image {{ image }}`; edit between the marks\n",
}
NEW = {**OLD, "shared/.github/workflows/wheels.yml": JOB.replace("second check", "better check").encode()}


@pytest.fixture(scope="module")
def releases(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    old = make_release(tmp_path_factory.mktemp("old"), "0.1.0", OLD, environ)
    assert old.seal().returncode == 0
    new = make_release(tmp_path_factory.mktemp("new"), "0.2.0", NEW, environ, bundle_of=old)
    assert new.seal().returncode == 0
    return old, new


@pytest.fixture(scope="module")
def made(releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("made") / "my-ops"
    done = releases[0]("new", project.name, "--defaults", cwd=project.parent)
    assert done.returncode == 0, done.output
    commit(project, "Begin", releases[0].environ)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "my-ops"))


def _edit(project: Path, old: str, new: str, release: Release) -> None:
    path = project / FILE
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    commit(project, "Edit", release.environ)


def test_all_three_come_together(project: Path, releases: tuple[Release, Release]) -> None:
    old, new = releases
    assert old("ci", "github", "--check", cwd=project).returncode == 0
    _edit(project, MARKS, f'{MARKS}  MINE: "1"\n', old)
    done = new("update", cwd=project)
    assert done.returncode == 0, done.output
    text = (project / FILE).read_text(encoding="utf-8")
    document = parsed(text)
    assert document["env"]["MINE"] == "1"
    steps = [step["run"] for step in document["jobs"]["check"]["steps"]]
    assert steps == ["first check", "better check", "third check"]
    assert "gpuwheel[repair]==0.2.0" in text
    assert "0.1.0" not in text
    assert new("ci", "github", "--check", cwd=project).returncode == 0


def test_both_changed_one_line_of_a_place(project: Path, releases: tuple[Release, Release]) -> None:
    old, new = releases
    _edit(project, "second check", "my check", old)
    done = new("update", cwd=project)
    assert done.returncode == MergeConflictError.exit_code, done.output
    assert f"UU {FILE}" in status(project)
    text = (project / FILE).read_text(encoding="utf-8")
    assert text.index("<<<<<<<") < text.index("my check") < text.index("better check") < text.index(">>>>>>>")
    # Around it, all is as it will be.
    assert "gpuwheel[repair]==0.2.0" in text


def test_another_service_that_pushes_an_image(project: Path, releases: tuple[Release, Release]) -> None:
    old, _ = releases
    base = f"python@sha256:{'0' * 64}"
    done = old("update", "--data", "ci=gitlab", "--data", f"image={base}", cwd=project)
    assert done.returncode == 0, done.output
    assert not (project / FILE).exists()
    text = (project / ".gitlab-ci.yml").read_text(encoding="utf-8")
    assert "gpuwheel build" in text
    assert f"gpuwheel image --base {base} " in text
    assert old("ci", "gitlab", "--check", cwd=project).returncode == 0
