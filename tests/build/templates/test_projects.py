"""Every template, with every answer: what a person who typed `gpuwheel new` then types."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from torch_environments import layer_on

import gpuwheel
from gpuwheel._run import run
from gpuwheel.testing.torch_environments import torch_environment

if TYPE_CHECKING:
    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow, pytest.mark.torch]

WHEELS = {
    "embed": r"py3-none-manylinux_2_28_x86_64",
    "nvcc": r"py3-none-manylinux_2_28_x86_64",
    "kernels": r"py3-none-any",
    "nvmath": r"py3-none-any",
}
CUDA_TORCH = ("2.15.0", "13.0")
"""A release, and the CUDA version of a driver that it works with."""
LAUNCHES = {"embed-defaults", "nvcc-defaults", "kernels-defaults", "c"}
"""Cases that differ in what they launch."""
SCHEMAS = {"github": (".github/workflows/ci.yml", "github-workflows"), "gitlab": (".gitlab-ci.yml", "gitlab-ci")}


def test_one_wheel_serves_every_python_and_passes_the_audit(project: Project) -> None:
    assert re.search(rf"-0\.1\.0-{WHEELS[project.case.template]}\.whl$", project.wheel.name)
    run([sys.executable, "-m", "gpuwheel", "audit", project.wheel])


def test_its_tests_pass_on_the_cpu(project: Project) -> None:
    output = project.run("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider")

    (passed,) = re.findall(r"(\d+) passed", output)
    assert int(passed) > 20


def test_it_launches_what_it_should(project: Project, tmp_path: Path) -> None:
    """Its own tests on the pretend GPU, beside a CUDA build of torch."""
    template = project.case.template
    assert (project.root / "tests" / "test_launches.py").exists() == (template != "nvmath")
    if project.case.name not in LAUNCHES:
        return
    release, driver = CUDA_TORCH
    layer = layer_on(torch_environment(release, environ=os.environ), tmp_path)
    wheel = project.wheel
    if template == "nvcc":  # CUDA's static runtime takes the real driver alone
        key = 'gpuwheel.extensions."nvcc_defaults._C".libraries'
        wheel = project.builder.wheel(project.root, tmp_path / "dist", "-C", f"{key}=cudart", **project.case.environ)
    layer.install("--no-deps", wheel)
    if template == "kernels":
        layer.install("cuda-core>=1,<2", f"cuda-bindings=={driver.partition('.')[0]}.*")
    words = ["-m", "pytest", "-p", "gpuwheel.testing.plugin", "--fake-gpu", "--fake-gpu-driver", driver]
    paths = {"PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)}
    output = project.run_in(layer, *words, "-q", "-p", "no:cacheprovider", "tests/test_launches.py", environ=paths)

    (passed,) = re.findall(r"(\d+) passed", output)
    assert int(passed) > 10


def test_its_benchmark_measures_and_draws(project: Project) -> None:
    words = ("benchmarks/benchmark.py", "--device", "cpu", "--smoke", "--json", "figures.json", "--plot", "plots")
    table = project.run(*words)

    figures = json.loads((project.root / "figures.json").read_text(encoding="utf-8"))
    assert figures["results"]
    assert figures["machine"]["torch"].startswith("2.13")
    assert "P50" in table
    assert {path.suffix for path in (project.root / "plots").iterdir()} == {".png", ".svg"}


def test_its_notebook_runs(project: Project) -> None:
    if project.case.answers.get("ci") == "none":
        return  # the same notebook
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


def test_git_sees_sources_alone(project: Project) -> None:
    """What building, testing and measuring leave behind is ignored, but for figures that were asked for."""
    status = run(["git", "-C", project.root, "status", "--porcelain", "--untracked-files=normal"]).stdout
    later = {line[3:] for line in status.splitlines() if not line.startswith("A  ")}

    assert later <= {"figures.json", "plots/"}
