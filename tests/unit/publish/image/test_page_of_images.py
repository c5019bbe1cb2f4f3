"""The page about images, typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tiny_images import TinyWheel, tiny_base
from transcript import follow, read_steps

PAGE = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "ship-an-image.md"


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    tiny_base(tmp_path / "python")
    for wheel in (TinyWheel(requires=["dep"]), TinyWheel("dep", files={"dep.py": b""})):
        wheel.write(tmp_path / "wheelhouse")
    program = tmp_path / "bin" / "gpuwheel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gpuwheel "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    steps = read_steps(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 4
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    follow(steps, tmp_path, {**environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")})
