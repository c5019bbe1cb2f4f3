"""docs/how-to/publish-an-index.md, typed: every command must print what the page says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from small_wheels import small_wheel
from transcript import follow, read_steps

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "publish-an-index.md"


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    house, new = tmp_path / "wheelhouse", tmp_path / "new"
    house.mkdir()
    new.mkdir()
    small_wheel(house, "collapsed", cuda="12.9", tag="py3-none-manylinux_2_28_x86_64")
    for cuda in ("12.9", "13.0"):
        small_wheel(house, version=f"1.0+cu{cuda}", cuda=cuda, tag="cp312-cp312-manylinux_2_28_x86_64")
    small_wheel(new, version="1.1")
    steps = read_steps(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 6
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    follow(steps, tmp_path, {"PATH": path, "HOME": str(tmp_path), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"})
