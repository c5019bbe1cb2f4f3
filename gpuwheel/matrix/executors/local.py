"""Cells as processes of this machine."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpuwheel._run import Leash, LeashPulledError, ProcessFailedError, running
from gpuwheel.matrix.executors import CellFailedError, Made, StoppedEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from gpuwheel.matrix.executors import Heard
    from gpuwheel.matrix.tasks import Task

__all__ = ["LocalExecutor"]

_WORKER = ("-I", "-m", "gpuwheel.matrix.worker")
_HUNG, _DIED = 124, 1  # as timeout(1) says it; as Python does for what it does not know
_LINES = 20


class LocalExecutor:
    """Starts `gpuwheel.matrix.worker` with the Python of each cell."""

    def __init__(
        self,
        root: Path,
        python_of: Callable[[Task], Path],
        environ_of: Callable[[Path], Mapping[str, str]],
        heard: Heard,
        *,
        slots: int,
        seconds: float | None = None,
    ) -> None:
        """Build from the sources in `root`.

        Args:
            root: of the unpacked sources.
            python_of: the Python program of an environment that holds gpuwheel and what building the cell requires.
            environ_of: of a process that runs that Python.
            heard: is told what happens.
            slots: how many cells at once.
            seconds: that a cell may take before it counts as hung.
        """
        self._root, self._python_of, self._environ_of, self._heard = root, python_of, environ_of, heard
        self._slots, self._seconds = slots, seconds
        self._lock, self._leashes, self._is_stopped = threading.Lock(), set[Leash](), False

    @property
    def slots(self) -> int:
        """As it was told."""
        return self._slots

    def stop(self) -> None:
        """Documented by the Protocol."""
        with self._lock:
            self._is_stopped = True
            for leash in self._leashes:
                leash.pull()

    def build(self, task: Task, out: Path, log: Path) -> Made:
        """Documented by the Protocol."""
        request = json.dumps(
            {"root": str(self._root), "out": str(out), "settings": task.settings, "cell": task.identifier}
        )
        last: dict[str, Any] = {}
        with self._leash() as leash:
            try:
                # Making the environment counts: an index or a hook may hang as a compiler may.
                program = self._python_of(task)
            except LeashPulledError as error:
                raise self._why(error, last, log, is_late=True) from error
            environ = self._environ_of(program)
            try:
                with running([program, *_WORKER], stdin=request, env=environ, errors=log) as lines:
                    for line in lines:
                        last = json.loads(line)
                        self._heard(task, last)
            except (LeashPulledError, ProcessFailedError, ValueError) as error:
                # A line that is no event is the half of one that a killed process wrote.
                raise self._why(error, last, log, is_late=leash.is_pulled) from error
        return Made(out / last["name"], last["sha256"], last["cpu_seconds"])

    @contextmanager
    def _leash(self) -> Iterator[Leash]:
        """What ends one process: `stop`, or that it takes too long."""
        leash = Leash()
        with self._lock:
            if self._is_stopped:
                raise StoppedEarlyError
            self._leashes.add(leash)
        try:
            with leash.around(self._seconds):
                yield leash
        finally:
            with self._lock:
                self._leashes.discard(leash)

    def _why(self, error: Exception, last: Mapping[str, Any], log: Path, *, is_late: bool) -> Exception:
        if self._is_stopped:
            return StoppedEarlyError()
        if is_late:
            msg = f"it was not done after {self._seconds:g} s"
            return CellFailedError(
                msg, exit_code=_HUNG, hint="--timeout sets how long a wheel may take", detail=_tail(log)
            )
        if last.get("event") == "failed":
            return CellFailedError(
                last["message"], exit_code=last["exit_code"], hint=last["hint"], detail=last["detail"]
            )
        status = error.completed.returncode if isinstance(error, ProcessFailedError) else 1
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        msg = f"the process that builds it ended {how}"
        hint = "the kernel ends processes where memory runs out: see dmesg" if status == -signal.SIGKILL else None
        return CellFailedError(msg, exit_code=_DIED, hint=hint, detail=_tail(log))


def _tail(log: Path) -> str:
    """The last lines that tools printed."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return "\n".join(text.splitlines()[-_LINES:])
