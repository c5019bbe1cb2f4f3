"""A later template comes into an edited project, through the real command of two releases."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import jsonschema
import pytest
from template_releases import commit, contents, lines, status

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.errors import MergeConflictError, ScaffoldError

if TYPE_CHECKING:
    from pathlib import Path

    from template_releases import Release

BOTH = "setting-4 = 'mine'", "setting-25 = 'later'"


def test_what_the_project_and_the_template_changed_comes_together(project: Path, new_release: Release) -> None:
    done = new_release("update", "--json", cwd=project)
    assert done.returncode == 0, done.output
    report = json.loads(done.stdout)
    jsonschema.validate(report, json.loads(resource("data", "update.schema.json").read_bytes()))
    assert {key: report[key] for key in ("from", "to", "written")} == {"from": "0.1.0", "to": "0.2.0", "written": True}
    assert report["added"] == ["src/my_ops/new.py"]
    assert report["changed"] == [".copier-answers.yml", "README.md", "latin-1.txt", "settings.txt"]
    assert report["removed"] == ["old.txt"]
    assert report["conflicts"] == []

    assert (project / "settings.txt").read_bytes() == lines(l4=BOTH[0], l25=BOTH[1])
    assert (project / "README.md").read_text(encoding="utf-8") == "# my-ops\n\nWritten by Ada.\n"
    assert (project / "latin-1.txt").read_bytes().decode("latin-1") == "café crème\n"
    assert (project / "src/my_ops/new.py").is_file()
    assert (project / "own.py").is_file()
    assert not (project / "old.txt").exists()
    assert not (project / "unwanted.txt").exists(), "the project had deleted it"
    answers = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    assert "_commit: v0.2.0\n_src_path: gpuwheel://templates.git\n" in answers

    commit(project, "Update", new_release.environ)
    again = new_release("update", cwd=project)
    assert again.returncode == 0
    assert "up to date with templates 0.2.0" in again.stdout


def test_a_conflict_is_in_the_file_and_in_the_report(project: Path, new_release: Release) -> None:
    (project / "README.md").write_text("# my-ops\n\nBy Ada and Bob.\n", encoding="utf-8")
    commit(project, "Bob", new_release.environ)

    planned = new_release("update", "--dry-run", cwd=project)
    assert planned.returncode == MergeConflictError.exit_code
    assert "+Written by Ada." in planned.stdout
    assert status(project) == []

    done = new_release("update", cwd=project)
    assert done.returncode == MergeConflictError.exit_code
    assert "conflict  README.md" in done.stdout
    assert "changed   settings.txt" in done.stdout
    assert "error: 1 file has conflicts (found in README.md)\nhint: choose between" in done.stderr
    markers = ["<<<<<<< before updating", "=======", ">>>>>>> after updating"]
    mine, theirs = "By Ada and Bob.", "Written by Ada."
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.splitlines() == ["# my-ops", "", markers[0], mine, markers[1], theirs, markers[2]]
    assert "UU README.md" in status(project)
    assert run(["git", "show", ":1:README.md"], cwd=project).stdout == "# my-ops\n\nBy Ada.\n"
    assert (project / "settings.txt").read_bytes() == lines(l4=BOTH[0], l25=BOTH[1])


def test_a_conflict_can_be_a_file_of_its_own(project: Path, new_release: Release) -> None:
    (project / "README.md").write_text("# my-ops\n\nBy Ada and Bob.\n", encoding="utf-8")
    commit(project, "Bob", new_release.environ)

    done = new_release("update", "--conflict", "rej", cwd=project)
    assert done.returncode == MergeConflictError.exit_code
    assert (project / "README.md").read_text(encoding="utf-8") == "# my-ops\n\nWritten by Ada.\n"
    assert "+By Ada and Bob.\n" in (project / "README.md.rej").read_text(encoding="utf-8")
    assert "found in README.md)" in done.stderr


def test_a_project_below_the_top_of_its_repository(edited_project: Path, tmp_path: Path, new_release: Release) -> None:
    project = tmp_path / "projects" / "ops"
    shutil.copytree(edited_project, project, ignore=shutil.ignore_patterns(".git"))
    run(["git", "init", "--quiet", "."], cwd=tmp_path)
    (project / "README.md").write_text("# my-ops\n\nBy Ada and Bob.\n", encoding="utf-8")
    commit(project, "Take in", new_release.environ)
    (tmp_path / "elsewhere").write_text("not committed\n", encoding="utf-8")

    done = new_release("update", "projects/ops", cwd=tmp_path)
    assert done.returncode == MergeConflictError.exit_code, done.output
    assert "UU projects/ops/README.md" in status(tmp_path)
    assert (project / "settings.txt").read_bytes() == lines(l4=BOTH[0], l25=BOTH[1])


def test_an_answer_can_be_changed(project: Path, old_release: Release) -> None:
    done = old_release("update", "--data", "author=Grace", cwd=project)
    assert done.returncode == 0, done.output
    assert (project / "README.md").read_text(encoding="utf-8") == "# my-ops\n\nBy Grace.\n"
    assert (project / "settings.txt").read_bytes() == lines(l4=BOTH[0])


# --- What stands against it -------------------------------------------------------------------------------------------


def test_changes_that_are_not_committed(project: Path, new_release: Release) -> None:
    (project / "own.py").write_text("OWN = None\n", encoding="utf-8")
    before = contents(project)
    done = new_release("update", cwd=project)
    assert done.returncode == ScaffoldError.exit_code
    assert "not committed (found own.py; expected none)\nhint: git commit or git stash" in done.stderr
    assert contents(project) == before


def test_a_file_that_git_ignores_is_not_overwritten(project: Path, new_release: Release) -> None:
    (project / ".gitignore").write_text("src/\n", encoding="utf-8")
    commit(project, "Ignore", new_release.environ)
    own = project / "src/my_ops/new.py"
    own.parent.mkdir(parents=True)
    own.write_text("MINE = True\n", encoding="utf-8")
    before = contents(project)
    done = new_release("update", cwd=project)
    assert done.returncode == ScaffoldError.exit_code
    assert "src/my_ops/new.py is in the way" in done.stderr
    assert contents(project) == before


def test_a_later_gpuwheel_made_the_project(project: Path, old_release: Release, new_release: Release) -> None:
    assert new_release("update", cwd=project).returncode == 0
    commit(project, "Update", new_release.environ)
    done = old_release("update", cwd=project)
    assert done.returncode == ScaffoldError.exit_code
    assert "from a later gpuwheel (found templates 0.2.0, this gpuwheel has 0.1.0)" in done.stderr
    assert "hint: pip install 'gpuwheel[new]>=0.2.0'" in done.stderr


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
def test_an_interrupt_changes_nothing_or_all(seconds: float, project: Path, new_release: Release) -> None:
    before = contents(project)
    start = time.monotonic()
    assert new_release("update", "--help", cwd=project).returncode == 0
    loading = time.monotonic() - start  # before it is loaded, Python itself says what an interrupt is
    with subprocess.Popen(
        [sys.executable, "-m", "gpuwheel", "update"],
        cwd=project,
        env=dict(new_release.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(loading + seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert "Traceback" not in errors
    if process.returncode == 0:
        assert (project / "src/my_ops/new.py").is_file()
    else:
        assert contents(project) == before
        assert status(project) == []
