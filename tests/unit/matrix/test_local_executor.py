"""A cell's process, and the making of its environment, as `--timeout` and `stop` end them."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from gpuwheel._run import run
from gpuwheel.matrix.executors import CellFailedError, StoppedEarlyError
from gpuwheel.matrix.executors.local import LocalExecutor
from gpuwheel.matrix.tasks import Task

TASK = Task("a", None, {}, (), "key of a")


def _hanging(task: Task) -> Path:
    """As an index that does not answer, or a hook that waits for something."""
    del task
    run([sys.executable, "-c", "import time; time.sleep(60)"])
    return Path(sys.executable)


def _executor(root: Path, seconds: float | None) -> LocalExecutor:
    return LocalExecutor(root, _hanging, lambda _: {}, lambda *_: None, slots=1, seconds=seconds)


def test_an_environment_that_is_never_done_takes_no_longer_than_its_cell_may(tmp_path: Path) -> None:
    with pytest.raises(CellFailedError, match=r"it was not done after 0\.3 s") as caught:
        _executor(tmp_path, 0.3).build(TASK, tmp_path, tmp_path / "log")

    assert caught.value.exit_code == 124
    assert "--timeout" in str(caught.value.hint)


def test_stop_ends_the_making_of_an_environment(tmp_path: Path) -> None:
    executor = _executor(tmp_path, None)
    clock = threading.Timer(0.3, executor.stop)
    clock.start()
    started = time.monotonic()
    with pytest.raises(StoppedEarlyError):
        executor.build(TASK, tmp_path, tmp_path / "log")
    assert time.monotonic() - started < 30

    with pytest.raises(StoppedEarlyError):
        executor.build(TASK, tmp_path, tmp_path / "log")
