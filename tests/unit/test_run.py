"""Starting several programs at once."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gpuwheel._run import Leash, LeashPulledError, run, run_each

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


STARTS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
open(sys.argv[1] + ".new", "w").write(str(child.pid))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""


def _is_there(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_leash_around_a_call_ends_what_runs_in_it_and_what_that_started(tmp_path: Path) -> None:
    leash, noted = Leash(), tmp_path / "pid"

    def pull() -> None:
        while not noted.exists():
            time.sleep(0.01)
        leash.pull()

    thread = threading.Thread(target=pull)
    thread.start()
    started = time.monotonic()
    with leash.around(), pytest.raises(LeashPulledError):
        run([sys.executable, "-c", STARTS, noted])
    thread.join()
    assert time.monotonic() - started < 30
    until = time.monotonic() + 10
    while _is_there(int(noted.read_text())) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _is_there(int(noted.read_text()))


def test_nothing_starts_on_a_leash_that_was_pulled_and_all_does_beside_it(tmp_path: Path) -> None:
    leash = Leash()
    leash.pull()
    words = [sys.executable, "-c", "import sys; open(sys.argv[1], 'w')", tmp_path / "made"]
    with leash.around(), pytest.raises(LeashPulledError):
        run(words)
    assert not (tmp_path / "made").exists()
    run(words)
    assert (tmp_path / "made").exists()


def test_a_leash_may_be_pulled_by_the_clock() -> None:
    leash = Leash()
    with leash.around(0.2), pytest.raises(LeashPulledError):
        run([sys.executable, "-c", "import time; time.sleep(60)"], check=False)
    assert leash.is_pulled
