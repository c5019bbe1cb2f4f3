"""The tutorial's project, built and used with the tutorial's commands."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from conftest import SystemCuda

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial"

pytestmark = [pytest.mark.compiler, pytest.mark.network]


def _build(tmp_path: Path) -> Path:
    shutil.copytree(TUTORIAL / "first-wheel", tmp_path / "first-wheel")
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir"]
    run([*pip_wheel, tmp_path / "dist", tmp_path / "first-wheel"])
    (wheel,) = (tmp_path / "dist").iterdir()
    return wheel


def test_it_builds_one_wheel_for_every_python(tmp_path: Path) -> None:
    wheel = _build(tmp_path)

    assert re.fullmatch(r"first_wheel-0\.1\.0-py3-none-manylinux_2_\d+_x86_64\.whl", wheel.name)


@pytest.mark.end_to_end
@pytest.mark.torch
def test_its_operator_gives_what_the_page_says(tmp_path: Path, no_system_cuda: SystemCuda) -> None:
    wheel = _build(tmp_path)
    assert no_system_cuda.touches() == []

    page = (TUTORIAL / "first-wheel.md").read_text(encoding="utf-8")
    shown = re.search(r'python -c "(.*?)".*\n(tensor.*)\n', page)
    assert shown is not None
    command, output = shown.groups()
    run([sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path / "site", wheel])
    completed = run([sys.executable, "-c", command], env={**os.environ, "PYTHONPATH": str(tmp_path / "site")})

    assert completed.stdout.strip() == output
