"""What a build needs beside gpuwheel, as pyproject.toml says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.config.project.build_system import build_requirements
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def _project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_everything_but_gpuwheel_counts(tmp_path: Path) -> None:
    requires = '["gpuwheel>=0.1", "pybind11>=3", "numpy; python_version < \'3.12\'"]'
    project = _project(tmp_path, f"[build-system]\nrequires = {requires}\n")
    assert build_requirements(project) == ("pybind11>=3", "numpy; python_version < '3.12'")


def test_there_may_be_no_table(tmp_path: Path) -> None:
    assert build_requirements(_project(tmp_path, "[project]\nname = 'ops'\n")) == ()


@pytest.mark.parametrize("requires", ['"gpuwheel"', '["not a requirement"]'])
def test_what_is_no_list_of_requirements_is_refused(tmp_path: Path, requires: str) -> None:
    project = _project(tmp_path, f"[build-system]\nrequires = {requires}\n")
    with pytest.raises(ConfigError, match=r"build-system\.requires in pyproject\.toml"):
        build_requirements(project)
