"""`gpuwheel init` on setup.py files in the shapes of public projects': what it writes, and that the plan accepts it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from setup_projects import Project
from shapes import ALL, Shape

from gpuwheel._toml import read_toml
from gpuwheel.compatibility import load_tables
from gpuwheel.config import load_config
from gpuwheel.plan import plan

if TYPE_CHECKING:
    from pathlib import Path

TABLES = load_tables()


def test_nine_of_ten_reach_a_project_that_builds_without_an_edit() -> None:
    assert len({shape.name for shape in ALL}) == len(ALL)
    compiled = [shape for shape in ALL if not shape.by_cmake]
    assert len(compiled) >= 40
    assert len([shape for shape in compiled if shape.refused is None]) >= 0.9 * len(compiled)


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_a_setup_py_of_this_shape(shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Project(shape.write(tmp_path / "ops"))
    for name, value in shape.environ.items():
        monkeypatch.setenv(name, value)
    result = made.init("--json", *(("--", *shape.arguments) if shape.arguments else ()))
    assert "Traceback" not in result.output
    if shape.refused:
        assert result.exit_code == 3, result.output
        assert shape.refused in result.stderr
        return
    assert result.exit_code == 0, result.output
    left = [row["what"] for row in json.loads(result.stdout)["left"]]
    for beginning in shape.left:
        assert any(what.startswith(beginning) for what in left), (beginning, left)
    decisions = plan(load_config(made.root, environ={}), TABLES)  # a module of one Python is a cell for each of them
    assert decisions
    assert [decision.reason for decision in decisions if not decision.accepted] == []
    document = read_toml(made.root / "pyproject.toml")
    settings = document["tool"]["gpuwheel"]
    if shape.extensions:
        assert set(settings["extensions"]) == set(shape.extensions)
    for name, keys in shape.extensions.items():
        assert {key: settings["extensions"][name].get(key) for key in keys} == dict(keys)
    assert {key: settings.get(key) for key in shape.settings} == dict(shape.settings)
    if shape.wheel is not None:
        assert document["tool"].get("scikit-build", {}).get("wheel", {}) == dict(shape.wheel)
