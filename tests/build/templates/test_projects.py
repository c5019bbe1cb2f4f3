"""Every template, with every answer: what a person who typed `gpuwheel new` then types."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow, pytest.mark.torch]

WHEELS = {
    "embed": r"py3-none-manylinux_2_28_x86_64",
    "nvcc": r"py3-none-manylinux_2_28_x86_64",
    "kernels": r"py3-none-any",
    "nvmath": r"py3-none-any",
}
SCHEMAS = {"github": (".github/workflows/ci.yml", "github-workflows"), "gitlab": (".gitlab-ci.yml", "gitlab-ci")}


def test_one_wheel_serves_every_python_and_passes_the_audit(project: Project) -> None:
    assert re.search(rf"-0\.1\.0-{WHEELS[project.case.template]}\.whl$", project.wheel.name)
    run([sys.executable, "-m", "gpuwheel", "audit", project.wheel])


def test_its_tests_pass_on_the_cpu(project: Project) -> None:
    output = project.run("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider")

    (passed,) = re.findall(r"(\d+) passed", output)
    assert int(passed) > 20


def test_its_benchmark_measures_and_draws(project: Project) -> None:
    words = ("benchmarks/benchmark.py", "--device", "cpu", "--smoke", "--json", "figures.json", "--plot", "plots")
    table = project.run(*words)

    figures = json.loads((project.root / "figures.json").read_text(encoding="utf-8"))
    assert figures["results"]
    assert figures["machine"]["torch"].startswith("2.13")
    assert "P50" in table
    assert {path.suffix for path in (project.root / "plots").iterdir()} == {".png", ".svg"}


def test_its_notebook_runs(project: Project) -> None:
    program = (
        "import nbformat, nbclient\n"
        "notebook = nbformat.read('examples/quickstart.ipynb', 4)\n"
        "nbformat.validate(notebook)\n"
        "nbclient.NotebookClient(notebook, kernel_name='python3').execute()\n"
    )
    project.run("-c", program)


def test_it_is_clean_under_its_own_rules(project: Project) -> None:
    tools = {"cwd": project.root}
    run([sys.executable, "-m", "ruff", "check", "--no-cache"], **tools)
    run([sys.executable, "-m", "ruff", "format", "--check", "--no-cache"], **tools)
    words = ["--cache-dir", project.shared / "mypy", "--python-executable", project.layer.python]
    run([sys.executable, "-m", "mypy", *words], **tools)


def test_its_pipeline_is_one(project: Project) -> None:
    ci = project.case.answers.get("ci", "github")
    for name, (file, schema) in SCHEMAS.items():
        assert (project.root / file).exists() == (name == ci)
        if name == ci:
            program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
            run([*program, project.root / file])


def test_git_has_nothing_to_say_after_all_that(project: Project) -> None:
    """What tests, benchmark and build leave behind is ignored."""
    copy = shutil.copytree(project.root, project.root.with_name("copy"))
    shutil.rmtree(copy / ".git")
    git = ["git", "-C", copy]
    run([*git, "init", "--quiet"])
    untracked = run([*git, "ls-files", "--others", "--exclude-standard"]).stdout.split()

    assert not [path for path in untracked if "__pycache__" in path or path.endswith(".egg-info")]
    run(["rm", "-r", copy])
