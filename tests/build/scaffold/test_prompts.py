"""`gpuwheel new` on a terminal, with somebody at it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ENTER, DOWN, CTRL_C = "\r", "\x1b[B", "\x03"
QUIET = 1.5  # seconds without output: it waits for a key


def _type(keys: Sequence[str], name: str, *, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Answer each question as it comes; the exit status, and everything that was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gpuwheel", "new", name]
    environ = {**environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    with subprocess.Popen(
        command, cwd=cwd, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown, waiting = b"", [key.encode() for key in keys]
        while True:
            if not select.select([ours], [], [], QUIET)[0]:
                if b"?" in shown and waiting:
                    os.write(ours, waiting.pop(0))
                continue
            try:
                said = os.read(ours, 65536)
            except OSError:  # how Linux ends a terminal
                break
            if not said:
                break
            shown += said
        os.close(ours)
    return process.returncode, shown.decode(errors="replace")


@pytest.mark.slow
def test_questions_are_asked_and_a_name_that_cannot_be_has_no_default(environ: dict[str, str], tmp_path: Path) -> None:
    keys = [DOWN + DOWN, ENTER, ENTER, "ops" + ENTER, ENTER, ENTER, DOWN, ENTER, ENTER, ENTER, ENTER]
    status, shown = _type(keys, "class", cwd=tmp_path, environ=environ)
    assert status == 0, shown
    answers = yaml.safe_load((tmp_path / "class" / ".copier-answers.yml").read_bytes())
    assert {key: answers[key] for key in ("template", "project_name", "package_name", "license", "cutile")} == {
        "template": "kernels",
        "project_name": "class",
        "package_name": "ops",
        "license": "MIT",
        "cutile": False,
    }


def test_somebody_changes_their_mind(environ: dict[str, str], tmp_path: Path) -> None:
    status, shown = _type([ENTER, CTRL_C], "ops", cwd=tmp_path, environ=environ)
    assert status != 0
    assert "Aborted!" in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []
