"""Projects that `gpuwheel update` leaves as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from template_releases import commit, contents

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold.repository import open_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

OURS = "_src_path: gpuwheel://templates.git\n"

STRANGERS = {
    "no answers": ("", "has no .copier-answers.yml", "takes the folder of the project"),
    "no mapping": ("- 1\n", "holds no answers (found list", ""),
    "no YAML": ("a: b: c\n", "cannot be read (", ""),
    "other template": ("_commit: v1\n_src_path: gh:a/b\n", "another template (found _src_path gh:a/b", "copier update"),
    "no version": (OURS, "does not say of which version the template was", "git log"),
    "no such version": (f"_commit: main\n{OURS}", "found _commit 'main'", "git log"),
    "unknown release": (f"_commit: v0.0.1\n{OURS}", "a version that is not among the templates (found 0.0.1", ""),
    "development": (
        f"_commit: v0.0.1+0a1b2c3d4e\n{OURS}",
        "from a development state of the templates (found 0.0.1+0a1b2c3d4e",
        "the release nearest to it",
    ),
    "later": (
        f"_commit: v9.1.0\n{OURS}",
        "from a later gpuwheel (found templates 9.1.0",
        "pip install 'gpuwheel[new]>=9.1.0'",
    ),
}


@pytest.mark.parametrize(("answers", "error", "hint"), STRANGERS.values(), ids=STRANGERS)
def test_projects_of_others(
    answers: str, error: str, hint: str, gpuwheel: Callable[..., Result], tmp_path: Path
) -> None:
    if answers:
        (tmp_path / ".copier-answers.yml").write_text(answers, encoding="utf-8")
    _assert_refused(gpuwheel("update"), error, hint, tmp_path)


@pytest.fixture
def project(environ: dict[str, str], tmp_path: Path) -> Path:
    """A project whose template is the current one."""
    tag = open_repository(Cache.from_environment(environ), environ).current
    (tmp_path / ".copier-answers.yml").write_text(f"_commit: {tag}\n{OURS}template: embed\n", encoding="utf-8")
    return tmp_path


CHANGE = ("update", "--data", "license=MIT")


def test_nothing_to_do_needs_no_repository(project: Path, gpuwheel: Callable[..., Result]) -> None:
    result = gpuwheel("update", str(project))
    assert result.exit_code == 0
    assert "up to date with templates" in result.stdout


def test_no_repository(project: Path, gpuwheel: Callable[..., Result]) -> None:
    _assert_refused(gpuwheel(*CHANGE), "is in no git repository", "git init && git add --all", project)


def test_no_commit(project: Path, gpuwheel: Callable[..., Result]) -> None:
    run(["git", "init", "--quiet", "."], cwd=project)
    _assert_refused(gpuwheel(*CHANGE), "has no commit yet", "git add --all && git commit", project)


def test_changes_that_are_not_committed(
    project: Path, environ: dict[str, str], gpuwheel: Callable[..., Result]
) -> None:
    run(["git", "init", "--quiet", "."], cwd=project)
    commit(project, "Begin", environ)
    for name in ("a file", "b"):
        (project / name).write_text("mine\n", encoding="utf-8")
    error = 'has changes that are not committed (found "a file" and 1 more; expected none)'
    _assert_refused(gpuwheel(*CHANGE), error, "git commit or git stash them", project)


def test_an_answer_to_no_question(project: Path, gpuwheel: Callable[..., Result]) -> None:
    result = gpuwheel("update", "--data", "licence=MIT")
    _assert_refused(result, "there is no question 'licence'", "did you mean 'license'?", project)


def _assert_refused(result: Result, error: str, hint: str, folder: Path) -> None:
    before = contents(folder)
    assert result.exit_code == ScaffoldError.exit_code, result.output
    assert error in result.stderr
    assert hint in result.stderr
    assert contents(folder) == before
