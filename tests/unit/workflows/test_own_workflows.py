"""The workflows of this repository: valid, audited, fresh, and about things that exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ci_files import parsed, validate, zizmor
from click.testing import CliRunner

from gpuwheel.cli import main
from gpuwheel.compatibility.ci_services import load_ci_services

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "ci" / "workflows"
EVERY = pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.stem)


def _scripts(path: Path) -> Iterator[str]:
    for job in parsed(path.read_text(encoding="utf-8"))["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


@EVERY
def test_it_follows_the_schema_and_names_the_actions_of_the_table(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    validate(text, "github-workflows")
    known = {str(action) for action in load_ci_services().actions.values()}
    assert set(re.findall(r"uses: (.*)", text)) <= known
    assert parsed(text)["permissions"] == {}


def test_the_auditor_finds_nothing(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / ".github" / "workflows")
    assert "No findings" in zizmor(tmp_path)


@EVERY
def test_what_it_runs_exists(path: Path) -> None:
    text = "\n".join(_scripts(path))
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"^def (\w+)\(session", noxfile, re.MULTILINE))
    sessions |= set(re.findall(r'nox\.session\(name="([\w-]+)"', noxfile))
    named = {
        word for words in re.findall(r"nox -s ([a-z -]+?)(?: --|$| 2>)", text, re.MULTILINE) for word in words.split()
    }
    matrix = parsed(path.read_text(encoding="utf-8"))["jobs"].get("check", {}).get("strategy", {})
    named |= set(matrix.get("matrix", {}).get("session", ()))
    assert named <= sessions
    for file in re.findall(r"(?<![\w./])(ci/[\w./]+|sample_extension)", text):
        assert (ROOT / file).exists(), file


def test_the_samples_workflow_is_what_would_be_written_now(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    ignored = shutil.ignore_patterns("build", "dist", "__pycache__")
    project = shutil.copytree(ROOT / "sample_extension", tmp_path / "sample_extension", ignore=ignored)
    result = CliRunner().invoke(main, ["ci", "github", str(project), "--check", "--output", str(FOLDER / "sample.yml")])
    assert result.exit_code == 0, result.output


def test_somebody_waits_for_new_facts_and_a_gpu() -> None:
    scripts = {path.stem: "\n".join(_scripts(path)) for path in FOLDER.iterdir()}
    assert "nox -s update" in scripts["refresh"]
    assert "schedule" in parsed((FOLDER / "refresh.yml").read_text(encoding="utf-8"))["on"]
    assert "ci/gpu.sh" in scripts["gpu"]
    # Who may write runs nothing that came from an index.
    propose = parsed((FOLDER / "refresh.yml").read_text(encoding="utf-8"))["jobs"]["propose"]
    assert "write" in propose["permissions"]["contents"]
    assert not re.search(
        r"\b(pip|nox|uv|python)\b",
        " ".join(step.get("run", "") for step in propose["steps"]).replace("nox -s update", ""),
    )


def test_a_release_is_checked_by_the_gpuwheel_that_it_publishes() -> None:
    jobs = parsed((FOLDER / "release.yml").read_text(encoding="utf-8"))["jobs"]
    checks = [step["run"] for step in jobs["dist"]["steps"] if "gpuwheel publish" in step.get("run", "")]
    assert len(checks) == 1
    assert "--dry-run --to pypi dist" in checks[0]
    assert "dist/*.whl" in checks[0]
    assert "dist" in jobs["publish"]["needs"]
    assert "run" not in jobs["publish"]["steps"][-1]  # nothing of an index runs where the right to publish is
