"""What happens to files that are there: whose they are, and what stays in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ci_files import parsed

from gpuwheel._cache import Cache
from gpuwheel.cli.projects.pipelines import Pipeline
from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.errors import WorkflowError
from gpuwheel.model.jobs import SourceCost
from gpuwheel.workflows.places import filled, read_places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

NAMES = {"github": ".github/workflows/wheels.yml", "gitlab": ".gitlab-ci.yml"}
SERVICES = pytest.mark.parametrize("service", NAMES)


@SERVICES
def test_what_people_added_stays(ci: Callable[..., Result], project: Path, service: str) -> None:
    path = project / NAMES[service]
    assert ci(service).exit_code == 0
    marks = "  # gpuwheel: begin yours (env)\n"
    path.write_text(path.read_text(encoding="utf-8").replace(marks, f'{marks}  MINE: "1"\n'), encoding="utf-8")
    assert ci(service, "--check").exit_code == 0

    # Something else changes: what is generated follows, what is theirs stays.
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace('"ops"', '"better-ops"'), encoding="utf-8")
    stale = ci(service, "--check")
    assert stale.exit_code == WorkflowError.exit_code
    assert "+" in stale.stdout
    assert "better-ops" in stale.stdout
    assert "better-ops" not in path.read_text(encoding="utf-8")
    assert ci(service).exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert "https://pypi.org/p/better-ops" in text
    assert parsed(text)["env" if service == "github" else "variables"]["MINE"] == "1"


@SERVICES
def test_an_edit_outside_of_the_marks_is_seen_and_undone(
    ci: Callable[..., Result], project: Path, service: str
) -> None:
    path = project / NAMES[service]
    ci(service)
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("publish", "upload"), encoding="utf-8")
    assert ci(service, "--check").exit_code == WorkflowError.exit_code
    ci(service)
    assert path.read_text(encoding="utf-8") == before


@SERVICES
def test_another_hands_file_is_not_written_over(ci: Callable[..., Result], project: Path, service: str) -> None:
    path = project / NAMES[service]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("stages: [mine]\n", encoding="utf-8")
    refused = ci(service)
    assert refused.exit_code == WorkflowError.exit_code
    assert "--force" in refused.stderr
    assert path.read_text(encoding="utf-8") == "stages: [mine]\n"
    # It can be looked at beside, and written over when somebody says so.
    assert ci(service, "--output", "-").exit_code == 0
    assert ci(service, "--force").exit_code == 0
    assert ci(service, "--check").exit_code == 0


def test_a_file_that_is_missing_is_stale(ci: Callable[..., Result], project: Path) -> None:
    result = ci("github", "--check")
    assert result.exit_code == WorkflowError.exit_code
    assert not (project / NAMES["github"]).exists()


@pytest.mark.parametrize("service", [*NAMES, "cibuildwheel"])
def test_a_check_of_what_is_printed_is_no_command(ci: Callable[..., Result], service: str) -> None:
    result = ci(service, "--check", "--output", "-")
    assert (result.exit_code, result.stdout) == (2, "")


@SERVICES
def test_projects_with_one_folder_name_have_a_file_each(project: Path, service: str) -> None:
    parts = (("a", "ops"), ("b", "ops"), ("a-b", "ops"), ("a", "b-ops"), ("a--ops",), ("a", "b c"), ("a", "b_c"))
    paths = [Pipeline(project.joinpath(*each), service, project).path for each in parts]
    assert len(set(paths)) == len(paths)
    assert paths[0].stem.endswith("-a--ops")


def test_options_are_in_the_first_line_and_count_the_next_time(ci: Callable[..., Result], project: Path) -> None:
    path = project / NAMES["gitlab"]
    ci("gitlab", "--shards", "1", "--branch", "trunk")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# written by `gpuwheel ci gitlab --shards 1 --branch trunk`; edit between the marks\n")
    assert ci("gitlab", "--check").exit_code == 0
    ci("gitlab", "--branch", "next")
    assert "`gpuwheel ci gitlab --shards 1 --branch next`" in path.read_text(encoding="utf-8").partition("\n")[0]


def test_options_that_nobody_wrote_are_told(ci: Callable[..., Result], project: Path) -> None:
    path = project / NAMES["gitlab"]
    ci("gitlab")
    path.write_text(
        path.read_text(encoding="utf-8").replace("ci gitlab`", "ci gitlab --shards x`", 1), encoding="utf-8"
    )
    assert ci("gitlab").exit_code == WorkflowError.exit_code


def test_a_checkout_with_windows_line_ends_is_the_same_file(ci: Callable[..., Result], project: Path) -> None:
    path = project / NAMES["github"]
    ci("github")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert ci("github", "--check").exit_code == 0


def test_a_project_in_a_folder_has_a_file_of_its_own(ci: Callable[..., Result], project: Path) -> None:
    (project / ".git").rmdir()
    (project.parent / ".git").mkdir()
    assert ci("github").exit_code == 0
    path = project.parent / ".github" / "workflows" / "wheels-repository.yml"
    steps = parsed(path.read_text(encoding="utf-8"))["jobs"]["test"]["steps"]
    assert {step.get("working-directory") for step in steps if "run" in step} == {"repository"}
    text = path.read_text(encoding="utf-8")
    assert "--project repository --out repository/dist" in text


def test_a_rejected_plan_has_no_pipeline(ci: Callable[..., Result], project: Path) -> None:
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace("[tool.gpuwheel]", '[tool.gpuwheel]\ndriver = ">=390"')
    pyproject.write_text(text, encoding="utf-8")
    result = ci("github")
    assert result.exit_code == WorkflowError.exit_code
    assert "gpuwheel plan says why" in result.stderr


BEGIN, END = "  # gpuwheel: begin yours (jobs)", "  # gpuwheel: end yours"


@pytest.mark.parametrize(
    "lines",
    [[BEGIN, "x"], [BEGIN, BEGIN, END], [END], [BEGIN, END, END], [BEGIN, END, BEGIN, END]],
    ids=["no end", "two begins", "no begin", "two ends", "twice"],
)
def test_marks_that_are_no_pairs_are_told(lines: list[str]) -> None:
    with pytest.raises(WorkflowError) as refused:
        read_places("\n".join(lines))
    assert refused.value.hint


def test_what_is_theirs_is_never_lost() -> None:
    with pytest.raises(WorkflowError, match="no place jobs any more"):
        filled("jobs:\n", {"jobs": ["mine: {}"]})
    assert filled("jobs:\n", {"jobs": ["", "  "]}) == "jobs:\n"
    # It moves with its marks, when these are indented otherwise.
    text = f"a:\n{BEGIN}\n{END}\n"
    moved = filled(text.replace("  #", "    #"), read_places(text.replace(END, f"  b:\n\n    c: 1\n{END}")))
    assert moved == "a:\n    # gpuwheel: begin yours (jobs)\n    b:\n\n      c: 1\n    # gpuwheel: end yours\n"


@pytest.mark.parametrize("project", ["many"], indirect=True)
def test_what_earlier_builds_took_decides_how_many_jobs_there_are_at_first(
    ci: Callable[..., Result], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    costs = RecordedCosts(Cache(tmp_path / "cache"), "many-ops")
    for source in ("k.cu", "ops.cpp"):
        costs.add(source, "any", SourceCost(wall=20_000.0, cpu=20_000.0, peak=None))
    costs.save()
    assert ci("gitlab").exit_code == 0
    rows = parsed((project / NAMES["gitlab"]).read_text(encoding="utf-8"))["build x86_64"]["parallel"]["matrix"]
    assert len(rows[0]["PART"]) > 1
    # On a machine that knows nothing of it, it is the same file.
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "empty"))
    assert ci("gitlab", "--check").exit_code == 0
    assert ci("github").exit_code == 0
    assert "--shards" not in (project / NAMES["github"]).read_text(encoding="utf-8").partition("\n")[0]
