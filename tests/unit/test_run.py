"""Starting several programs at once."""

from __future__ import annotations

import sys
import time
from contextlib import closing

import pytest

from gpuwheel._run import run_each

ENVIRON = {"GREETING": "hello"}
PRINT = "import os, sys; print(sys.argv[1], sorted(os.environ.keys() - {'LC_CTYPE'})); sys.exit(int(sys.argv[1]))"


def test_each_result_with_its_position() -> None:
    commands = [[sys.executable, "-c", PRINT, str(status)] for status in (2, 0, 1)]
    done = dict(run_each(commands, jobs=2, env=ENVIRON))
    assert [done[index].returncode for index in range(3)] == [2, 0, 1]
    assert done[1].stdout == "0 ['GREETING']\n"


def test_leaving_early_kills_what_runs_and_starts_nothing_more() -> None:
    sleeps = [[sys.executable, "-c", "import time; time.sleep(60)"]] * 3
    start = time.monotonic()
    with closing(run_each([[sys.executable, "-c", ""], *sleeps], jobs=2, env=ENVIRON)) as ended:
        assert next(ended)[0] == 0
    assert time.monotonic() - start < 30


def test_a_program_that_does_not_exist() -> None:
    with pytest.raises(FileNotFoundError):
        list(run_each([["/nonexistent/program"]], jobs=1, env=ENVIRON))
