"""Several transfers at once, of which the first failure ends all, and which an interrupt does not wait for."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gpuwheel.model.reporter import Progress, Reporter

__all__ = ["StoppedTransferError", "at_once", "shared_progress"]

_GRACE = 2.0
"""Seconds for those that are under way to notice."""


class StoppedTransferError(Exception):
    """Another transfer has failed: this one goes no further, and is no failure of its own."""


def at_once(tasks: Sequence[Callable[[], None]], jobs: int, stop: threading.Event) -> None:
    """Call `tasks` in threads, `jobs` at a time and in order; `stop` is set when one fails or we are interrupted.

    Raises:
        Exception: what the first of them that failed has raised.
    """
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    # Daemons: a pool of the standard library would be waited for at exit, and a server may not answer for minutes.
    count = min(jobs, len(tasks))
    threads = [threading.Thread(target=_work, args=(waiting, ended, stop), daemon=True) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        for _ in tasks:
            _raise(ended.get())
    except BaseException:
        stop.set()
        for thread in threads:
            thread.join(_GRACE)
        raise


def _work(
    waiting: queue.SimpleQueue[Callable[[], None]],
    ended: queue.SimpleQueue[BaseException | None],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            task = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            task()
        except BaseException as error:  # noqa: BLE001 (raised again by whoever waits)
            ended.put(error)
        else:
            ended.put(None)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


class _Shared:
    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock = progress, threading.Lock()

    def advance(self, amount: int) -> None:
        with self._lock:
            self._progress.advance(amount)


@contextmanager
def shared_progress(reporter: Reporter, label: str, total: int) -> Iterator[Progress]:
    """Progress in bytes that threads may advance."""
    with reporter.progress(label, total) as progress:
        yield _Shared(progress)
