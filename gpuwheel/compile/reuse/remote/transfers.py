"""What goes to a remote and comes from it, many at once, within the time that a build has for that.

A remote is left alone for the rest of a build once it refuses access, fails a few times, or is slower than compiling.
All of it runs in a thread of its own with an event loop, so that what hangs can be given up.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from gpuwheel import _limits
from gpuwheel.compile.reuse.remote.bucket import AT_ONCE, BucketError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

__all__ = ["Job", "Transfers"]

Job: TypeAlias = "Callable[[asyncio.Lock], Awaitable[None]]"
"""One transfer; the lock is for those that take much memory."""

_MOST_FAILURES = 3
_LOOK_EVERY = 0.1  # seconds
_SETTLED = 0.1  # seconds
_GRACE = 3.0  # seconds that the thread has to end by itself
_SLOW = "takes too long"


class Transfers:
    """The wire, and how patient a build is with it."""

    def __init__(self) -> None:
        self.off: str | None = None
        """Why the remote is left alone, if it is."""
        self.last: str | None = None
        """What failed last, whether or not the remote is left alone because of it."""
        self._failures = 0
        self._started = time.monotonic()
        self._waited = 0.0
        self._moved = 0
        self._busy = False

    def moved(self, size: int) -> None:
        """`size` bytes came or go: they are worth some time."""
        self._moved += size

    @contextmanager
    def working(self) -> Iterator[None]:
        """What is done here with what came does not count against the remote."""
        start = time.monotonic()
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            self._waited -= time.monotonic() - start

    def fail(self, reason: str, *, at_once: bool = False) -> None:
        """Something went wrong; the remote may be left alone because of it."""
        self.last = reason
        self._failures += 1
        if self.off is None and (at_once or self._failures >= _MOST_FAILURES):
            self.off = reason

    def run(self, jobs: Sequence[Job]) -> None:
        """Run these, or as many as there is time for; each hands on by itself what it got."""
        if self.off is not None or not jobs:
            return
        self._started = time.monotonic()
        _settle_at_exit()
        thread = threading.Thread(target=self._thread, args=(jobs,), daemon=True, name="gpuwheel-remote")
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_EVERY)
            if not self._busy and self._overdue() > _GRACE:
                self.fail(_SLOW, at_once=True)
                break
        self._waited += time.monotonic() - self._started

    def _overdue(self) -> float:
        """Seconds beyond what a build waits."""
        allowed = _limits.REMOTE_WAIT.value + self._moved / _limits.REMOTE_RATE.value
        return self._waited + time.monotonic() - self._started - allowed

    def _thread(self, jobs: Sequence[Job]) -> None:
        try:
            asyncio.run(self._all(jobs))
        except BaseException as error:  # noqa: BLE001  (whatever it is, a build can do without)
            self.fail(f"fails ({type(error).__name__})", at_once=True)

    async def _all(self, jobs: Sequence[Job]) -> None:
        slots, alone = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
        waiting = {asyncio.ensure_future(self._one(job, slots, alone)) for job in jobs}
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=_LOOK_EVERY)
            if self._overdue() > 0:
                self.fail(_SLOW, at_once=True)
            if self.off is not None and waiting:
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting, timeout=1)
                # The threads of obstore notice a little later; at the end of a process that would be too late for them.
                await asyncio.sleep(_LOOK_EVERY)
                return

    async def _one(self, job: Job, slots: asyncio.Semaphore, alone: asyncio.Lock) -> None:
        async with slots:
            if self.off is not None:
                return
            try:
                await job(alone)
            except RefusedError as error:
                self.fail(str(error), at_once=True)
            except BucketError as error:
                self.fail(str(error))


@functools.cache
def _settle_at_exit() -> None:
    """Have the end of the process wait for the threads of obstore: they let go of what Python gave them a moment later.

    One that asks for Python's lock when Python has gone ends the process by SIGABRT, after all was done.
    """
    atexit.register(time.sleep, _SETTLED)
