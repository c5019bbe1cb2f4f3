"""The page about audits, typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from corpus.wheels import CODE, LIBC, library, wheel
from transcript import follow, read_steps

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "audit-a-wheel.md"


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    # New in torch 2.13: the wheel says that it does with 2.10.
    needs = {**LIBC, "torch_stream_native_handle": None}
    code = library(imports=needs, needed=("libtorch.so", "libc.so.6"), sections={".nv_fatbin": CODE})
    for folder, floor in (("before", "2.13"), ("dist", "2.10")):
        made = wheel({"ops/_C.so": code}, requires=[f"torch>={floor}"])
        (tmp_path / folder).mkdir()
        (tmp_path / folder / made.name).write_bytes(made.data)
    program = tmp_path / "bin" / "gpuwheel"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gpuwheel "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    steps = read_steps(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 7
    follow(steps, tmp_path, {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "NO_COLOR": "1"})
