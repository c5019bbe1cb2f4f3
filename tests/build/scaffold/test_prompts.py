"""`gpuwheel new` on a terminal, with somebody at it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ENTER, DOWN, CTRL_C = "\r", "\x1b[B", "\x03"
BASE = "docker.io/library/python:3.12-slim@sha256:" + "0123456789abcdef" * 4


def _type(answers: Sequence[tuple[str, str]], name: str, *, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Press the keys once the words of a question are there; the exit status, and everything that was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 200, 0, 0))  # lines, columns
    deadline = time.monotonic() + 120
    command = [sys.executable, "-m", "gpuwheel", "new", name]
    environ = {**environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    with subprocess.Popen(
        command, cwd=cwd, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown, start, waiting = b"", 0, [(words.encode(), keys.encode()) for words, keys in answers]
        while process.poll() is None or select.select([ours], [], [], 0)[0]:
            if time.monotonic() > deadline:
                process.kill()
            if waiting and waiting[0][0] in shown[start:]:
                time.sleep(0.2)  # the words come before the ears
                start = len(shown)
                os.write(ours, waiting.pop(0)[1])
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # how Linux ends a terminal
                    break
        os.close(ours)
    return process.returncode, shown.decode(errors="replace")


@pytest.mark.slow
def test_questions_are_asked_and_a_name_that_cannot_be_has_no_default(environ: dict[str, str], tmp_path: Path) -> None:
    answers = [
        ("Which kind", DOWN + DOWN + ENTER),
        ("Name of the project", ENTER),
        ("Name of the package", "class" + ENTER),
        ("a keyword of Python", "\x7f" * len("class") + "ops" + ENTER),
        ("One sentence", ENTER),
        ("Who wrote it", ENTER),
        ("Licence", DOWN + ENTER),
        ("Compute capabilities", ENTER),
        ("cuTile", ENTER),
        ("Continuous integration", ENTER),
        ("container image", "\x7f" * len("none") + BASE.partition("@")[0] + ENTER),
        ("names no base that stays the same", BASE.removeprefix(BASE.partition("@")[0]) + ENTER),
    ]
    status, shown = _type(answers, "class", cwd=tmp_path, environ=environ)
    assert status == 0, shown
    given = yaml.safe_load((tmp_path / "class" / ".copier-answers.yml").read_bytes())
    kept = ("template", "project_name", "package_name", "license", "cutile", "image")
    assert {key: given[key] for key in kept} == {
        "template": "kernels",
        "project_name": "class",
        "package_name": "ops",
        "license": "MIT",
        "cutile": False,
        "image": BASE,
    }
    workflow = (tmp_path / "class" / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    assert f"gpuwheel image --base {BASE} " in workflow


def test_somebody_changes_their_mind(environ: dict[str, str], tmp_path: Path) -> None:
    status, shown = _type(
        [("Which kind", ENTER), ("Name of the project", CTRL_C)], "ops", cwd=tmp_path, environ=environ
    )
    assert status != 0
    assert "Aborted!" in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []
