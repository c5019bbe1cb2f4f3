"""Cells as processes of this machine."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

from gpuwheel._run import ProcessFailedError, running
from gpuwheel.matrix.executors import CellFailedError, Made
from gpuwheel.matrix.executors.leashed import LeashedExecutor, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel.matrix.executors import Heard
    from gpuwheel.matrix.tasks import Task

__all__ = ["LocalExecutor"]

_WORKER = ("-I", "-m", "gpuwheel.matrix.worker")
_DIED = 1  # as Python ends for what it does not know


class LocalExecutor(LeashedExecutor):
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
        super().__init__(slots, seconds)
        self._root, self._python_of, self._environ_of, self._heard = root, python_of, environ_of, heard

    def build(self, task: Task, out: Path, log: Path) -> Made:
        """Documented by the Protocol."""
        request = json.dumps(
            {"root": str(self._root), "out": str(out), "settings": task.settings, "cell": task.identifier}
        )
        last: dict[str, Any] = {}
        with self._leash(log):
            # Making the environment counts: an index or a hook may hang as a compiler may.
            program = self._python_of(task)
            environ = self._environ_of(program)
            try:
                with running([program, *_WORKER], stdin=request, env=environ, errors=log) as lines:
                    for line in lines:
                        last = json.loads(line)
                        self._heard(task, last)
            except (ProcessFailedError, ValueError) as error:
                # A line that is no event is the half of one that a killed process wrote.
                raise _why(error, last, log) from error
        return Made(out / last["name"], last["sha256"], last["cpu_seconds"])


def _why(error: Exception, last: Mapping[str, Any], log: Path) -> CellFailedError:
    """What a process that failed said last, or how it ended."""
    if last.get("event") == "failed":
        own = {name: last[name] for name in ("exit_code", "hint", "detail")}
        return CellFailedError(last["message"], **own)
    status = error.completed.returncode if isinstance(error, ProcessFailedError) else 1
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
    msg = f"the process that builds it ended {how}"
    hint = "the kernel ends processes where memory runs out: see dmesg" if status == -signal.SIGKILL else None
    return CellFailedError(msg, exit_code=_DIED, hint=hint, detail=tail(log))
