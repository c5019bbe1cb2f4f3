"""Projects of several shapes, and `gpuwheel ci` in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from small_project import PYPROJECT

from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

TESTS = '\n[dependency-groups]\ntest = ["pytest"]\n'
MATRIX = """\
[project]
name = "many-ops"
requires-python = ">=3.10"
dynamic = ["dependencies", "version"]

[tool.gpuwheel]
cuda = "13.0"
archs = ["8.0"]
torch = ["==2.13.*", "==2.14.*"]
pythons = ["3.11", "3.12", "3.13"]
machines = ["x86_64", "aarch64"]

[tool.gpuwheel.extensions."many_ops._C"]
mode = "nvcc"
sources = ["ops.cpp", "k.cu"]
abi = "exact"
python = "version"
"""
NVMATH = """\
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies", "optional-dependencies"]

[tool.gpuwheel]
nvmath = ">=1.0"
"""
PROJECTS = {"one": PYPROJECT + TESTS, "many": MATRIX + TESTS, "untested": PYPROJECT, "nvmath": NVMATH + TESTS}


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of the shape that the test names, or the smallest, in a repository of its own."""
    folder = tmp_path / "repository"
    (folder / ".git").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECTS[getattr(request, "param", "one")], encoding="utf-8")
    for name in ("k.cu", "ops.cpp"):
        (folder / name).touch()
    (folder / "tests").mkdir()
    (folder / "tests" / "test_values.py").write_text("def test_values(): ...\n", encoding="utf-8")
    (folder / "tests" / "test_launches.py").write_text("def test_launches(fake_gpu): ...\n", encoding="utf-8")
    return folder


@pytest.fixture
def ci(project: Path) -> Callable[..., Result]:
    def invoke(service: str, *words: str) -> Result:
        return CliRunner().invoke(main, ["ci", service, str(project), *words])

    return invoke


@pytest.fixture
def text_of(ci: Callable[..., Result]) -> Callable[..., str]:
    """What is written for a service."""

    def write(service: str, *words: str) -> str:
        result = ci(service, "--output", "-", *words)
        assert result.exit_code == 0, result.output
        return result.stdout

    return write
