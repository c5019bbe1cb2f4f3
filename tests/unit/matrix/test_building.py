"""Many cells at once: what shares work waits, a failure stops nobody else, and leaving early ends what runs."""

from __future__ import annotations

import sys
import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import CompileError
from gpuwheel.matrix.building import State, build_all
from gpuwheel.matrix.executors import CellFailedError, Made, StoppedEarlyError
from gpuwheel.matrix.tasks import Task
from gpuwheel.matrix.wheelhouse import Wheelhouse

if TYPE_CHECKING:
    from pathlib import Path


def _task(name: str, *shares: str) -> Task:
    return Task(name, None, {"gpuwheel.only": name}, shares, f"key of {name}")


class _Executor:
    """Ours, of files that are no wheels: the Protocol alone."""

    def __init__(self, slots: int = 4, fails: tuple[str, ...] = (), seconds: float = 0.05) -> None:
        self.slots, self._fails, self._seconds = slots, fails, seconds
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self.running: list[str] = []
        self.seen: list[set[str]] = []

    def build(self, task: Task, out: Path, log: Path) -> Made:
        if self._stopped.is_set():
            raise StoppedEarlyError
        with self._lock:
            self.running.append(task.identifier)
            self.seen.append(set(self.running))
        log.write_text("said\n")
        stopped = self._stopped.wait(self._seconds)
        with self._lock:
            self.running.remove(task.identifier)
        if stopped:
            raise StoppedEarlyError
        if task.identifier in self._fails:
            msg = "kernels.cu does not compile"
            raise CellFailedError(msg, exit_code=CompileError.exit_code)
        data = task.identifier.encode()
        (out / f"{task.identifier}.whl").write_bytes(data)
        return Made(out / f"{task.identifier}.whl", sha256(data).hexdigest(), 0.1)

    def stop(self) -> None:
        self._stopped.set()


def _same(task: Task, made: Made) -> Made:
    del task
    return made


def test_those_that_share_work_wait_for_the_first_of_them(tmp_path: Path) -> None:
    tasks = [_task("a1", "device", "torch a"), _task("a2", "device", "torch a"), _task("b1", "device", "torch b")]
    tasks += [_task("b2", "device", "torch b"), _task("c", "other device")]
    executor = _Executor()
    outcomes = list(build_all(tasks, executor, Wheelhouse(tmp_path), _same))
    assert {one.state for one in outcomes} == {State.BUILT}
    together = [set(pair) for seen in executor.seen for pair in [(x, y) for x in seen for y in seen if x < y]]
    # a1 makes the device code, and what is for torch a; b1 what is for torch b.
    assert not any("a1" in pair and pair & {"a2", "b1", "b2"} for pair in together)
    assert {"b1", "b2"} not in together
    assert {"a1", "c"} in together
    assert {"a2", "b1"} in together


def test_a_failure_stops_nobody_else_and_the_next_does_the_shared_work(tmp_path: Path) -> None:
    tasks = [_task("a", "device"), _task("b", "device"), _task("c", "device")]
    outcomes = {
        one.task.identifier: one for one in build_all(tasks, _Executor(fails=("a",)), Wheelhouse(tmp_path), _same)
    }
    assert {name: one.state for name, one in outcomes.items()} == {
        "a": State.FAILED,
        "b": State.BUILT,
        "c": State.BUILT,
    }
    error = outcomes["a"].error
    assert error is not None
    assert error.exit_code == CompileError.exit_code
    assert sorted(path.name for path in tmp_path.glob("*.whl")) == ["b.whl", "c.whl"]


def test_a_refused_wheel_does_not_come_into_its_place(tmp_path: Path) -> None:
    def refuse(task: Task, made: Made) -> Made:
        if task.identifier == "a":
            msg = "it does not load"
            raise CellFailedError(msg, exit_code=9)
        return made

    outcomes = list(build_all([_task("a"), _task("b")], _Executor(), Wheelhouse(tmp_path), refuse))
    assert {one.task.identifier: one.state for one in outcomes} == {"a": State.FAILED, "b": State.BUILT}
    assert [path.name for path in tmp_path.glob("*.whl")] == ["b.whl"]


def test_two_cells_of_one_file_name_are_told_and_the_first_stays(tmp_path: Path) -> None:
    def renamed(task: Task, made: Made) -> Made:
        del task
        path = made.wheel.with_name("same.whl")
        made.wheel.replace(path)
        return Made(path, made.sha256, made.cpu_seconds)

    outcomes = list(build_all([_task("a"), _task("b")], _Executor(slots=1), Wheelhouse(tmp_path), renamed))
    assert [one.state for one in outcomes] == [State.BUILT, State.FAILED]
    assert (tmp_path / "same.whl").read_bytes() == b"a"


def test_leaving_early_ends_what_runs_and_keeps_what_is_finished(tmp_path: Path) -> None:
    tasks = [_task(str(number)) for number in range(6)]
    building = build_all(tasks, _Executor(slots=1, seconds=0.2), Wheelhouse(tmp_path), _same)
    first = next(building)
    started = time.monotonic()
    building.close()
    assert time.monotonic() - started < 1
    assert first.state is State.BUILT
    wheelhouse = Wheelhouse(tmp_path)
    assert set(wheelhouse.finished(tasks)) == {first.task.key}
    assert not list((tmp_path / ".gpuwheel" / "unfinished").iterdir())


@pytest.mark.parametrize("slots", [1, 3])
def test_no_more_than_the_slots_run_at_once(tmp_path: Path, slots: int) -> None:
    executor = _Executor(slots)
    list(build_all([_task(str(number)) for number in range(7)], executor, Wheelhouse(tmp_path), _same))
    assert max(map(len, executor.seen)) == slots


def test_stopping_ends_what_judges_a_wheel_and_nothing_else_begins(tmp_path: Path) -> None:
    said: list[str] = []

    def tried(number: str) -> None:
        said.append(number)
        (tmp_path / "runs").touch()
        try:
            run([sys.executable, "-c", "import time; time.sleep(60)"])
        except ProcessFailedError as error:  # as trials do: what cannot be made is not tried, and the next is
            said.append(str(error))

    def judge(task: Task, made: Made) -> Made:
        for number in () if task.identifier == "quick" else ("first", "second"):
            tried(number)
        return made

    outcomes = build_all([_task("slow"), _task("quick")], _Executor(slots=2), Wheelhouse(tmp_path / "out"), judge)
    assert next(outcomes).task.identifier == "quick"
    while not (tmp_path / "runs").exists():
        time.sleep(0.01)
    started = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 30
    assert said == ["first"]
    assert [path.name for path in (tmp_path / "out").glob("*.whl")] == ["quick.whl"]
