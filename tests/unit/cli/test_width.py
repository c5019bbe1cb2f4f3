"""What a person sees in a narrow terminal, and a program in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest
from small_project import PYPROJECT

from gpuwheel._run import run

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = 60


def in_terminal(words: list[str], cwd: Path) -> list[str]:
    """The lines that a command shows in a terminal of `COLUMNS` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, COLUMNS, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(words, cwd=cwd, env={**environ, "NO_COLOR": "1"}, stdout=theirs, stdin=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux ends a terminal
                break
            shown += part
        process.wait()
    os.close(ours)
    return shown.decode().splitlines()


@pytest.mark.parametrize("command", [["plan"], ["doctor", "--no-network"]])
def test_lines_are_wrapped_between_words_to_the_terminal_and_left_whole_in_a_pipe(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    for name in ("k.cu", "ops.cpp"):
        (tmp_path / name).touch()
    words = [sys.executable, "-m", "gpuwheel", *command]

    piped = run(words, cwd=tmp_path, check=False).stdout
    shown = in_terminal(words, tmp_path)

    assert max(map(len, piped.splitlines())) > COLUMNS
    assert [line for line in shown if len(line) > COLUMNS and line.lstrip().count(" ")] == []  # a long path stays whole
    # Without numbers: how much of the disk is free may have changed in between.
    known = set(re.sub(r"\d+", "0", piped).split())
    assert {word for line in shown for word in re.sub(r"\d+", "0", line).split()} <= known
