"""Many cells, from tasks to wheels: what shares work waits for the first of it, and a failure stops nobody else."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import as_ours
from gpuwheel._run import Leash, LeashPulledError
from gpuwheel.matrix.executors import StoppedEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from gpuwheel.errors import GpuwheelError
    from gpuwheel.matrix.executors import Executor, Made
    from gpuwheel.matrix.journal import Finished
    from gpuwheel.matrix.tasks import Task
    from gpuwheel.matrix.wheelhouse import Wheelhouse

__all__ = ["Outcome", "State", "build_all"]


class State(Enum):
    """What became of a cell."""

    BUILT = "built"
    KEPT = "kept"
    """Built by an earlier run."""
    FAILED = "failed"
    STOPPED = "stopped"
    """Not finished when the whole run was stopped."""


@dataclass(frozen=True)
class Outcome:
    """What became of one cell."""

    task: Task
    state: State
    finished: Finished | None = None
    error: GpuwheelError | None = None
    seconds: float = 0.0
    """By the clock on the wall, from its start."""
    cpu_seconds: float = 0.0
    trials: tuple[dict[str, Any], ...] = ()
    """How the wheel did where it was installed."""


def build_all(
    tasks: Sequence[Task],
    executor: Executor,
    wheelhouse: Wheelhouse,
    judge: Callable[[Task, Made], Made],
) -> Iterator[Outcome]:
    """Build cells, and hand out what became of each as soon as it is known.

    Leaving early, by an interrupt for example, ends those that are being built; finished wheels stay.

    Args:
        tasks: in the order in which they may begin.
        executor: builds them.
        wheelhouse: takes the finished wheels.
        judge: whether a wheel is fit to be finished; gives the one that is, and raises otherwise.
    """
    waiting, order, leash = list(tasks), _Order(), Leash()
    running: dict[Future[Outcome], Task] = {}

    def one(task: Task) -> Outcome:
        started = time.monotonic()
        try:
            with wheelhouse.staging(task) as folder:
                wheelhouse.log(task).unlink(missing_ok=True)
                built = executor.build(task, folder, wheelhouse.log(task))
                with leash.around():
                    made = judge(task, built)
                finished = wheelhouse.take(task, made, time.monotonic() - started)
        except (StoppedEarlyError, LeashPulledError):
            return Outcome(task, State.STOPPED)
        except Exception as error:  # noqa: BLE001  # the other cells go on
            return Outcome(task, State.FAILED, error=as_ours(error), seconds=time.monotonic() - started)
        return Outcome(task, State.BUILT, finished, None, finished.seconds, made.cpu_seconds, made.trials)

    with ThreadPoolExecutor(executor.slots) as pool:
        try:
            while waiting or running:
                for task in [each for each in waiting if order.may_begin(each)]:
                    if len(running) < executor.slots and order.may_begin(task):
                        waiting.remove(task)
                        order.begins(task)
                        running[pool.submit(one, task)] = task
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    order.ends(running.pop(future), is_built=future.result().state is State.BUILT)
                    yield future.result()
        finally:
            # The pool waits for its threads, and these for the processes.
            leash.pull()
            executor.stop()


class _Order:
    """Which cells may begin: of those that share work, one does it, and the others wait until they can take it."""

    def __init__(self) -> None:
        self._made = set[str]()
        self._being_made: dict[str, Task] = {}

    def may_begin(self, task: Task) -> bool:
        return not any(name in self._being_made for name in task.shares)

    def begins(self, task: Task) -> None:
        self._being_made |= {name: task for name in task.shares if name not in self._made}

    def ends(self, task: Task, *, is_built: bool) -> None:
        for name in [name for name, maker in self._being_made.items() if maker is task]:
            del self._being_made[name]
            if is_built:
                self._made.add(name)
