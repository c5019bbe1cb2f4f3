"""`[tool.cibuildwheel]`, as cibuildwheel reads it."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._run import run
from gpuwheel._toml import parse_toml
from gpuwheel.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

MANY = pytest.mark.parametrize("project", ["many"], indirect=True)
NVCC = """
[tool.gpuwheel.extensions."ops._C"]
mode = "nvcc"
sources = ["ops.cpp", "k.cu"]
"""


def _table(project: Path) -> dict[str, Any]:
    document: dict[str, Any] = parse_toml((project / "pyproject.toml").read_bytes())
    table: dict[str, Any] = document["tool"]["cibuildwheel"]
    return table


def _edit(project: Path, old: str, new: str) -> None:
    path = project / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _nvcc(project: Path, toolkit: str) -> None:
    """Sources that nvcc compiles, where the smallest project has kernels."""
    path = project / "pyproject.toml"
    head, _, tail = path.read_text(encoding="utf-8").partition("[tool.gpuwheel.kernels.k]")
    tail = tail.partition("[dependency-groups]")[2]
    head = head.replace("[tool.gpuwheel]", f'[tool.gpuwheel]\ncuda = "{toolkit}"')
    path.write_text(f"{head}{NVCC}[dependency-groups]{tail}", encoding="utf-8")


def _identifiers(project: Path, arch: str) -> list[str]:
    """What cibuildwheel would build, by its own reading of the table: an unknown key is an error to it."""
    if importlib.util.find_spec("cibuildwheel") is None:
        pytest.skip("cibuildwheel is not installed (it needs Python 3.11)")
    words = ("--print-build-identifiers", "--platform", "linux", "--archs", arch, project)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIBW_")}
    return run([sys.executable, "-m", "cibuildwheel", *words], env=environ).stdout.split()


def test_cibuildwheel_takes_what_is_written(ci: Callable[..., Result], project: Path) -> None:
    assert ci("cibuildwheel").exit_code == 0
    # One wheel serves all; the others test it.
    assert _identifiers(project, "x86_64") == [f"cp3{minor}-manylinux_x86_64" for minor in range(10, 16)]
    table = _table(project)
    assert table["repair-wheel-command"] == "gpuwheel repair -w {dest_dir} {wheel}"
    assert "gpuwheel[repair]==" in table["before-build"]
    assert table["test-groups"] == ["test"]
    assert '"torch>=2.10" --index-url https://download.pytorch.org/whl/cpu' in table["before-test"]


def test_each_machine_has_its_identifiers_and_its_image(ci: Callable[..., Result], project: Path) -> None:
    _edit(project, "[tool.gpuwheel]", '[tool.gpuwheel]\nmachines = ["x86_64", "aarch64"]')
    assert ci("cibuildwheel").exit_code == 0
    assert _identifiers(project, "aarch64") == [f"cp3{minor}-manylinux_aarch64" for minor in range(10, 16)]
    assert _table(project)["manylinux-aarch64-image"] == "manylinux_2_28"
    # One machine less: its keys go.
    _edit(project, 'machines = ["x86_64", "aarch64"]', 'machines = ["x86_64"]')
    assert ci("cibuildwheel", "--check").exit_code == WorkflowError.exit_code
    assert ci("cibuildwheel").exit_code == 0
    assert not any("aarch64" in str(item) for item in _table(project).items())


@pytest.mark.parametrize("project", ["untested"], indirect=True)
def test_without_tests_one_python_builds_and_imports(ci: Callable[..., Result], project: Path) -> None:
    assert ci("cibuildwheel").exit_code == 0
    assert len(_identifiers(project, "x86_64")) == 1
    assert _table(project)["test-command"] == 'python -c "import ops"'


def test_nvcc_that_no_index_has_comes_with_the_image(ci: Callable[..., Result], project: Path) -> None:
    _nvcc(project, "12.9")
    assert ci("cibuildwheel").exit_code == 0
    assert "quay.io/manylinux_cuda/manylinux_2_28_x86_64_cuda12_9" in _table(project)["manylinux-x86_64-image"]


def test_a_toolkit_without_an_image_is_told(ci: Callable[..., Result], project: Path) -> None:
    _nvcc(project, "12.8")
    result = ci("cibuildwheel")
    assert result.exit_code == WorkflowError.exit_code
    assert "12.9" in result.stderr


def test_the_rest_of_the_file_and_of_the_table_stay(ci: Callable[..., Result], project: Path) -> None:
    before = (project / "pyproject.toml").read_text(encoding="utf-8")
    ci("cibuildwheel")
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert text.startswith(before)
    _edit(project, "[tool.cibuildwheel]\n", '[tool.cibuildwheel]\nbuild-verbosity = 1 # mine\nenable = ["pypy"]\n')
    assert ci("cibuildwheel", "--check").exit_code == 0
    _edit(project, 'archs = ["auto64"]', 'archs = ["all"]')
    assert ci("cibuildwheel", "--check").exit_code == WorkflowError.exit_code
    assert ci("cibuildwheel").exit_code == 0
    after = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert "build-verbosity = 1 # mine\n" in after
    assert _table(project)["archs"] == ["auto64"]


def test_somebody_elses_table_is_not_written_over(ci: Callable[..., Result], project: Path) -> None:
    path = project / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8") + '\n[tool.cibuildwheel]\nbuild = ["cp310-*"]\n', encoding="utf-8")
    assert ci("cibuildwheel").exit_code == WorkflowError.exit_code
    assert _table(project) == {"build": ["cp310-*"]}
    assert ci("cibuildwheel", "--force").exit_code == 0
    assert "cp310-manylinux_x86_64" in _table(project)["build"]
    assert ci("cibuildwheel", "--check").exit_code == 0


@MANY
def test_wheels_that_differ_by_torch_are_more_than_cibuildwheel_makes(ci: Callable[..., Result]) -> None:
    result = ci("cibuildwheel")
    assert result.exit_code == WorkflowError.exit_code
    assert "differ by torch" in result.stderr


@pytest.mark.parametrize("project", ["nvmath"], indirect=True)
def test_wheels_for_any_machine_need_no_container(ci: Callable[..., Result]) -> None:
    result = ci("cibuildwheel")
    assert result.exit_code == WorkflowError.exit_code
    assert "pip wheel" in result.stderr
