"""The hooks that a frontend calls before the one that builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from small_project import PYPROJECT as SMALL

from gpuwheel import backend
from gpuwheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.compiler]

PYPROJECT = SMALL.replace("9.0+PTX", "10.0+PTX")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / "k.cu").touch()
    (tmp_path / "ops.cpp").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_plan_notes_is_not_said_by_every_hook_of_one_build(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "drivers" in CliRunner().invoke(main, ["plan", str(project)]).stdout  # PTX wants a newer one
    assert any(pin.startswith("nvidia-cuda-nvrtc") for pin in backend.get_requires_for_build_wheel())
    (project / "out").mkdir()
    assert backend.prepare_metadata_for_build_wheel("out") == "ops-1.dist-info"
    assert "drivers" not in capfd.readouterr().err


def test_a_mistake_is_said_by_the_hook_that_meets_it(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.replace("archs", "arhcs"), encoding="utf-8")
    with pytest.raises(SystemExit):
        backend.get_requires_for_build_wheel()
    assert "arhcs" in capfd.readouterr().err
