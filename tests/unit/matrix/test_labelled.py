"""Labels of tasks: what the user gives all wheels does not make two of them one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.matrix.run import Options, tasks_of
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "13.0"
machines = ["x86_64"]
torch = ["==2.13.*", "==2.14.*"]

[tool.gpuwheel.extensions."ops._C"]
mode = "nvcc"
abi = "exact"
sources = ["k.cpp"]
"""


@pytest.mark.parametrize("way", ["setting", "variable"])
def test_a_local_version_of_the_users_comes_before_what_tells_wheels_apart(tmp_path: Path, way: str) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "k.cpp").write_text("")
    settings = {"gpuwheel.local": "mine"} if way == "setting" else {}
    environ = {"GPUWHEEL_LOCAL": "mine"} if way == "variable" else {}
    build = Build(tmp_path, environ, settings, SilentReporter())
    tasks = tasks_of(build, dict(settings), Options(tmp_path / "dist"), {})
    assert [task.settings["gpuwheel.local"] for task in tasks] == ["mine.torch2.13", "mine.torch2.14"]
