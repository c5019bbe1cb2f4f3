"""What `gpuwheel ci` writes: valid, audited, and no more rights than each job needs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from ci_files import parsed, validate, zizmor

from gpuwheel._run import run
from gpuwheel.workflows.work import Asked, Facts, Shards, Work
from gpuwheel.workflows.work import TestRow as Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EVERY = pytest.mark.parametrize("project", ["one", "many", "untested", "nvmath"], indirect=True)
MANY = pytest.mark.parametrize("project", ["many"], indirect=True)
SCHEMAS = {"github": "github-workflows", "gitlab": "gitlab-ci"}


@EVERY
@pytest.mark.parametrize("service", SCHEMAS)
def test_it_follows_the_services_schema_and_is_the_same_each_time(text_of: Callable[..., str], service: str) -> None:
    text = text_of(service)
    validate(text, SCHEMAS[service])
    assert text == text_of(service)
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 200  # of image: and uses:, which have digests


@EVERY
def test_the_auditor_finds_nothing(text_of: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "audited" / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "wheels.yml").write_text(text_of("github"), encoding="utf-8")
    assert "No findings" in zizmor(tmp_path / "audited")


def test_the_auditor_would_find_something(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    bad = "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{uses: actions/checkout@v4}]}}\n"
    (folder / "bad.yml").write_text(bad, encoding="utf-8")
    with pytest.raises(AssertionError, match="unpinned"):
        zizmor(tmp_path)


def _steps(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in document["jobs"].values():
        yield from job["steps"]


@EVERY
def test_github_jobs_have_their_rights_alone(text_of: Callable[..., str]) -> None:
    document = parsed(text_of("github"))
    assert document["permissions"] == {}
    rights = {name: job["permissions"] for name, job in document["jobs"].items()}
    assert {name for name, given in rights.items() if given != {"contents": "read"}} <= {"publish"}
    if "publish" in rights:
        assert rights["publish"] == {"id-token": "write"}
        assert "refs/tags/v" in document["jobs"]["publish"]["if"]
        assert document["jobs"]["publish"]["environment"]["name"] == "pypi"
    for job in document["jobs"].values():
        assert job["timeout-minutes"] <= 360
    for step in _steps(document):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # What a stranger names (a branch, a tag) is no part of a script.
        assert "${{" not in step.get("run", "")


def test_a_pull_request_reads_the_cache_and_never_writes_it(text_of: Callable[..., str]) -> None:
    steps = list(_steps(parsed(text_of("github"))))
    saves = [step for step in steps if step.get("uses", "").startswith("actions/cache/save@")]
    restores = [step for step in steps if step.get("uses", "").startswith("actions/cache/restore@")]
    assert [step["if"] for step in saves] == ["always() && github.event_name == 'push' && github.ref_type == 'branch'"]
    # A release is made of nothing that an earlier job left.
    assert [step["if"] for step in restores] == ["github.ref_type == 'branch' || github.event_name == 'pull_request'"]
    assert not any("actions/cache@" in step.get("uses", "") for step in steps)


@MANY
def test_a_matrix_of_cells_becomes_shards_of_each_machine(text_of: Callable[..., str]) -> None:
    document = parsed(text_of("github"))
    rows = document["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert [(row["runner"], row["pattern"], row["shard"]) for row in rows] == [
        ("ubuntu-24.04", "*-linux_x86_64", "1/1"),
        ("ubuntu-24.04-arm", "*-linux_aarch64", "1/1"),
    ]
    # Tests run on one of them; on the other, wheels are tried by what builds them.
    assert [row["trial"] for row in rows] == ["none", "smoke"]
    assert rows[0]["pythons"].splitlines() == ["3.11", "3.13", "3.12"]
    more = parsed(text_of("github", "--shards", "3"))["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert [row["shard"] for row in more] == ["1/3", "2/3", "3/3"] * 2
    assert len({row["artifact"] for row in more}) == 6
    jobs = parsed(text_of("gitlab", "--shards", "3"))
    assert jobs["build aarch64"]["tags"] == ["saas-linux-small-arm64"]
    assert "_aarch64@sha256:" in jobs["build aarch64"]["image"]
    assert jobs["build x86_64"]["parallel"]["matrix"] == [
        {"PATTERN": "*-linux_x86_64", "PART": ["1", "2", "3"], "PARTS": "3", "TRIAL": "none"}
    ]


@MANY
def test_each_python_and_torch_tests_the_wheel_that_is_for_it(text_of: Callable[..., str]) -> None:
    rows = parsed(text_of("github"))["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert {(row["python"], row["torch"]) for row in rows} == {
        (python, f"torch=={torch}.*") for python in ("3.11", "3.12", "3.13") for torch in ("2.13", "2.14")
    }
    (row,) = [row for row in rows if (row["python"], row["torch"]) == ("3.12", "torch==2.14.*")]
    assert row["wheels"] == "dist/*+torch2.14-cp312-cp312-*.whl"


def test_a_wheel_that_no_job_tests_is_tried_where_it_is_built() -> None:
    facts, row, shards = Facts("ops"), Row("3.12", "", "dist/*.whl"), Shards("x86_64", "", 1, ("3.12",))
    for untested, trial in ((False, "none"), (True, "smoke")):
        work = Work(facts, Asked(), "1", (shards,), (row,), untested, "13.0", frozenset(), publishable=True, manual=())
        assert work.trial("x86_64") == trial


@MANY
def test_wheels_that_pypi_does_not_take_are_not_sent_there(text_of: Callable[..., str]) -> None:
    for service in SCHEMAS:
        text = text_of(service)
        assert "publish" not in parsed(text).get("jobs", parsed(text))
        assert "local versions" in text


def test_one_wheel_is_tested_with_every_python_and_the_oldest_torch(text_of: Callable[..., str]) -> None:
    rows = parsed(text_of("github"))["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert (rows[0]["python"], rows[0]["torch"]) == ("3.10", "torch==2.10.*")
    pythons = [row["python"] for row in rows]
    assert sorted(set(pythons)) == ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
    assert {row["wheels"] for row in rows} == {"dist/*.whl"}


@pytest.mark.parametrize("project", ["untested"], indirect=True)
def test_a_project_without_a_group_of_tests_has_no_job_for_them(text_of: Callable[..., str]) -> None:
    assert list(parsed(text_of("github"))["jobs"]) == ["sdist", "build", "release-checks", "publish"]
    assert "test" not in parsed(text_of("gitlab"))


def test_launches_are_tested_without_a_gpu_and_all_tests_with_one(text_of: Callable[..., str]) -> None:
    jobs = parsed(text_of("github"))["jobs"]
    words = "pytest --fake-gpu --fake-gpu-driver 13.0 --fake-gpu-multiprocessors 1"
    assert jobs["launches"]["steps"][-1]["run"].strip() == words
    assert "GPU_RUNNER" in jobs["gpu"]["if"]
    # Fork's code never runs on somebody's machine.
    assert "github.event_name != 'pull_request'" in jobs["gpu"]["if"]
    assert "release-checks" in jobs["publish"]["needs"]
    # Where it is skipped, publishing goes on; where it fails or is cut off, it does not.
    assert "gpu" in jobs["publish"]["needs"]
    condition = jobs["publish"]["if"]
    assert condition.startswith("${{ !cancelled() && !failure() && !contains(needs.*.result, 'cancelled')")
    assert condition.endswith("&& github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v') }}")
    assert '!= "merge_request_event"' in parsed(text_of("gitlab"))["gpu"]["rules"][0]["if"]


@pytest.mark.parametrize("project", ["nvmath"], indirect=True)
def test_a_gpu_gets_the_extra_for_its_cuda(text_of: Callable[..., str]) -> None:
    assert '"$(echo dist/*.whl)[cu13]"' in text_of("github")
    assert '"$(echo dist/*.whl)[cu13]"' in text_of("gitlab")


def test_gitlab_images_and_tokens(text_of: Callable[..., str]) -> None:
    document = parsed(text_of("gitlab"))
    images = [document["default"]["image"], document["build x86_64"]["image"]]
    assert all(re.fullmatch(r"quay\.io/pypa/manylinux_2_28_x86_64@sha256:[0-9a-f]{64}", image) for image in images)
    tokens = {name for name, job in document.items() if isinstance(job, dict) and "id_tokens" in job}
    assert tokens == {"publish"}
    assert 'CI_COMMIT_REF_PROTECTED == "true"' in document["publish"]["rules"][0]["if"]
    levels = [rule["variables"]["LEVEL"] for rule in document[".build"]["rules"]]
    assert levels == ["release", "protected-$CI_COMMIT_REF_PROTECTED"]
    assert all("$LEVEL" in cache["key"] or "$CI_PIPELINE_ID" in cache["key"] for cache in document[".build"]["cache"])


def test_a_gitlab_release_takes_nothing_out_of_a_cache(text_of: Callable[..., str], tmp_path: Path) -> None:
    text = text_of("gitlab")
    build = parsed(text)[".build"]
    release = build["rules"][0]
    assert (release["if"], release["variables"]["POLICY"]) == ("$CI_COMMIT_TAG", "push")
    assert [cache["policy"] for cache in build["cache"]] == ["$POLICY", "$POLICY"]
    # Nor where a runner does not know the policy, or left files behind.
    for tag, there in (("v1", set()), ("", {"planted.whl"})):
        folder = tmp_path / f"job{tag}"
        (folder / ".ci-cache" / "dist").mkdir(parents=True)
        (folder / ".ci-cache" / "dist" / "planted.whl").touch()
        (folder / ".git" / "info").mkdir(parents=True)
        script = "\n".join(line for line in build["before_script"] if ".ci-cache" in line)
        run(["sh", "-ec", script], cwd=folder, env={**os.environ, "CI_COMMIT_TAG": tag})
        assert {path.name for path in (folder / "dist").iterdir()} == there
    assert '"Use separate caches for' in text


def test_small_tiles_are_launched_too(project: Path, text_of: Callable[..., str]) -> None:
    """CUTLASS's choice of tiles asks whether large ones are fewer than multiprocessors: than one, they never are."""
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8").partition("[tool.gpuwheel.kernels")[0]
    extension = '[tool.gpuwheel.extensions."ops._C"]\nmode = "nvcc"\nsources = ["ops.cpp", "k.cu"]\n'
    path.write_text(text + extension + '[dependency-groups]\ntest = ["pytest"]\n', encoding="utf-8")
    command = parsed(text_of("github"))["jobs"]["launches"]["steps"][-1]["run"].strip()
    assert command.endswith(" --fake-gpu-multiprocessors 2")


def test_each_of_two_toolkits_wheels_is_tested(project: Path, text_of: Callable[..., str]) -> None:
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8").partition("[tool.gpuwheel.kernels")[0]
    extension = '[tool.gpuwheel.extensions."ops._C"]\nmode = "nvcc"\nsources = ["ops.cpp", "k.cu"]\n'
    tests = '[dependency-groups]\ntest = ["pytest"]\n'
    two = text.replace("[tool.gpuwheel]", '[tool.gpuwheel]\ncuda = ["12.9", "13.2"]')
    path.write_text(two + extension + tests, encoding="utf-8")
    jobs = parsed(text_of("github"))["jobs"]
    assert {row["trial"] for row in jobs["build"]["strategy"]["matrix"]["include"]} == {"none"}
    rows = jobs["test"]["strategy"]["matrix"]["include"]
    older, newer = ([row for row in rows if f"+cu{cuda}-" in row["wheels"]] for cuda in ("12.9", "13.2"))
    assert [(row["python"], row["torch"]) for row in older] == [(row["python"], row["torch"]) for row in newer]
    assert len(older) > 1
    assert len(older) + len(newer) == len(rows)


def test_a_toolkit_that_no_index_has_is_somebodys_to_install(project: Path, text_of: Callable[..., str]) -> None:
    path = project / "pyproject.toml"
    own = 'cuda = "12.9"\narchs = ["8.0", "9.0+PTX"]'
    text = path.read_text(encoding="utf-8").replace('archs = ["8.0", "9.0+PTX"]', own)
    text = text.partition("[tool.gpuwheel.kernels")[0]
    extension = '[tool.gpuwheel.extensions."ops._C"]\nmode = "nvcc"\nsources = ["ops.cpp", "k.cu"]\n'
    path.write_text(text + extension + '[dependency-groups]\ntest = ["pytest"]\n', encoding="utf-8")
    assert "No index has nvcc of CUDA 12.9" in text_of("github")
