"""What builds cells: processes of this machine, or of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from gpuwheel.errors import GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.matrix.tasks import Task

__all__ = ["CellFailedError", "Executor", "Heard", "Made", "StoppedEarlyError"]

Heard: TypeAlias = "Callable[[Task, dict[str, Any]], None]"
"""Is told each event of a cell, from any thread."""


class CellFailedError(GpuwheelError):
    """A cell was not built; `exit_code` is what building it alone would have ended with."""

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.exit_code = exit_code


class StoppedEarlyError(Exception):
    """A cell was stopped because the whole build was."""


@dataclass(frozen=True)
class Made:
    """A wheel that an executor hands over, in a folder of its own."""

    wheel: Path
    sha256: str
    """As the process that made it saw it."""
    cpu_seconds: float
    """Of that process and all that it started."""
    trials: tuple[dict[str, Any], ...] = ()
    """How the wheel did where it was installed."""


class Executor(Protocol):
    """Builds cells, each in a process of its own; safe to call from several threads."""

    @property
    def slots(self) -> int:
        """How many cells it builds at once."""

    def build(self, task: Task, out: Path, log: Path) -> Made:
        """Build a cell and wait for it.

        Args:
            task: the cell.
            out: an empty folder for the wheel.
            log: the file that what tools print is added to.

        Raises:
            CellFailedError: it cannot be built.
            StoppedEarlyError: `stop` was called.
        """

    def stop(self) -> None:
        """End every cell that is being built; no other begins."""
