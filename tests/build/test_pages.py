"""The tutorials, typed: every command must print what the page says."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interpreters import find_interpreter
from torch_environments import environment_with, layer_on, release_that_pip_finds
from transcript import follow, read_steps

from gpuwheel._run import run

if TYPE_CHECKING:
    from conftest import SystemCuda

ROOT = Path(__file__).resolve().parents[2]
SOMEBODY = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow, pytest.mark.torch]


@pytest.mark.parametrize("page", ["new-project", "first-wheel"])
def test_every_command_prints_what_the_page_says(page: str, tmp_path: Path, no_system_cuda: SystemCuda) -> None:
    interpreter = find_interpreter("3.11")
    assert interpreter is not None
    release, environ = release_that_pip_finds("2.13.0", "3.11", tmp_path)
    layer = layer_on(environment_with(release, "3.11", interpreter, environ), tmp_path)
    layer.install("pip>=26")
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT])
    reader = {
        **{name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}},
        **SOMEBODY,
        "PATH": f"{layer.python.parent}:{os.environ['PATH']}",
        "PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {tmp_path / 'dist'}".strip(),
    }
    tutorial = ROOT / "docs" / "tutorial"
    if (tutorial / page).is_dir():
        shutil.copytree(tutorial / page, tmp_path / "work")
    else:
        (tmp_path / "work").mkdir()

    steps = read_steps((tutorial / f"{page}.md").read_text(encoding="utf-8"))
    assert len(steps) > 3
    follow(steps, tmp_path / "work", reader)

    assert not [touch for touch in no_system_cuda.touches() if "nvcc" in touch]
