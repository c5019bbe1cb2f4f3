"""Every template, with every answer: what a person who typed `gpuwheel new` then types."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ci_files import zizmor
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
LAUNCHES = {"embed-defaults", "kernels-defaults", "nvcc-defaults", "c"}
"""Cases that differ in what they launch, without a build of their own."""
SCHEMAS = {"github": (".github/workflows/wheels.yml", "github-workflows"), "gitlab": (".gitlab-ci.yml", "gitlab-ci")}


def test_one_wheel_serves_every_python_and_passes_the_audit(project: Project) -> None:
    assert re.search(rf"-0\.1\.0-{WHEELS[project.case.template]}\.whl$", project.wheel.name)
    run([sys.executable, "-m", "gpuwheel", "audit", project.wheel])


def test_its_tests_pass_on_the_cpu(project: Project) -> None:
    output = project.run("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider")

    (passed,) = re.findall(r"(\d+) passed", output)
    assert int(passed) > 20


def launches(project: Project, wheel: Path, folder: Path) -> int:
    """Run the project's own tests on the pretend GPU, beside a CUDA build of torch; how many passed."""
    release, driver = CUDA_TORCH
    layer = layer_on(torch_environment(release, environ=os.environ), folder)
    layer.install("--no-deps", wheel)
    if project.case.template == "kernels":
        layer.install("cuda-core>=1,<2", f"cuda-bindings=={driver.partition('.')[0]}.*")
    words = ["-m", "pytest", "-p", "gpuwheel.testing.plugin", "--fake-gpu", "--fake-gpu-driver", driver]
    if project.case.template == "nvcc":
        words += ["--fake-gpu-capability", "8.0"]  # of which it is built here; on others its kernels have no image
    if "PTX" not in project.case.answers.get("archs", "PTX"):
        words.append("--fake-gpu-record")  # there is nothing that it could execute, as its CI knows
    paths = {"PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)}
    output = project.run_in(layer, *words, "-q", "-p", "no:cacheprovider", "tests/test_launches.py", environ=paths)
    return int(re.findall(r"(\d+) passed", output)[0])


def test_it_launches_what_it_should(project: Project, tmp_path: Path) -> None:
    has_launches = (project.root / "tests" / "test_launches.py").exists()
    assert has_launches == (project.case.template != "nvmath")
    if project.case.name in LAUNCHES:
        assert launches(project, project.wheel, tmp_path) > 10


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
        "ran = nbclient.NotebookClient(notebook, kernel_name='python3').execute()\n"
        "print('cells run:', sum(bool(cell.get('execution_count')) for cell in ran.cells))\n"
    )
    output = project.run("-c", program)

    (count,) = re.findall(r"cells run: (\d+)", output)
    assert int(count) > 2


def test_it_is_clean_under_its_own_rules(project: Project) -> None:
    mypy = ("mypy", "--cache-dir", project.shared / "mypy", "--python-executable", project.layer.python)
    for checker in (("ruff", "check", "--no-cache"), ("ruff", "format", "--check", "--no-cache"), mypy):
        done = run([sys.executable, "-m", *checker], cwd=project.root, check=False)
        assert done.returncode == 0, done.output


def test_its_pipeline_is_one(project: Project) -> None:
    ci = project.case.answers.get("ci", "github")
    for name, (file, schema) in SCHEMAS.items():
        assert (project.root / file).exists() == (name == ci)
        if name == ci:
            program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
            run([*program, project.root / file])
            run([sys.executable, "-m", "gpuwheel", "ci", name, project.root, "--check"])
            if name == "github":
                assert "No findings" in zizmor(project.root)


def test_git_sees_sources_alone(project: Project) -> None:
    """What building, testing and measuring leave behind is ignored, but for figures that were asked for."""
    status = run(["git", "-C", project.root, "status", "--porcelain", "--untracked-files=normal"]).stdout
    later = {line[3:] for line in status.splitlines() if not line.startswith("A  ")}

    assert later <= {"figures.json", "plots/"}
