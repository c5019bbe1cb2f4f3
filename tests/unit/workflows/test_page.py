"""The page about CI, typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from transcript import follow, read_steps

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "write-ci.md"


def test_every_command_prints_what_the_page_says(project: Path, tmp_path: Path) -> None:
    (project / "tests" / "test_launches.py").unlink()
    program = tmp_path / "bin" / "gpuwheel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gpuwheel "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    steps = read_steps(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 5
    follow(steps, project, {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "NO_COLOR": "1"})
