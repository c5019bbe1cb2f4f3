"""What executors that start programs do alike: end those of a cell when the run is stopped, or when it takes long."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel._run import Leash
from gpuwheel.matrix.executors import CellFailedError, StoppedEarlyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LeashedExecutor", "tail"]

_HUNG = 124  # as timeout(1) says it
_LINES = 20


class LeashedExecutor:
    """Holds the programs of cells; `build` is its descendants'."""

    def __init__(self, slots: int, seconds: float | None) -> None:
        """Build some cells at once.

        Args:
            slots: how many.
            seconds: that a cell may take before it counts as hung.
        """
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

    @contextmanager
    def _leash(self, log: Path) -> Iterator[None]:
        """Hold the programs that this thread starts for one cell, which prints into `log`.

        Raises:
            CellFailedError: it took too long.
            StoppedEarlyError: the run was stopped.
        """
        leash = Leash()
        with self._lock:
            if self._is_stopped:
                raise StoppedEarlyError
            self._leashes.add(leash)
        try:
            with leash.around(self._seconds):
                yield
        except Exception as error:
            # Whatever a program that is being ended breaks: that it was ended is why.
            if not leash.is_pulled:
                raise
            raise self._ended(log) from error
        finally:
            with self._lock:
                self._leashes.discard(leash)

    def _ended(self, log: Path) -> Exception:
        if self._is_stopped:
            return StoppedEarlyError()
        msg = f"it was not done after {self._seconds:g} s"
        hint = "--timeout sets how long a wheel may take"
        return CellFailedError(msg, exit_code=_HUNG, hint=hint, detail=tail(log))


def tail(log: Path) -> str:
    """The last lines that tools printed."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return "\n".join(text.splitlines()[-_LINES:])
