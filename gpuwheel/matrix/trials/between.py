"""Trials as a part of `gpuwheel build`: between a wheel that is built and audited, and its place among the finished."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpuwheel.errors import AuditError
from gpuwheel.matrix.trials.verdicts import PATIENCE, Level, check_trials, try_wheel
from gpuwheel.model.reporter import SilentReporter

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.matrix.executors import Heard, Made
    from gpuwheel.matrix.tasks import Task
    from gpuwheel.toolchain import Context

__all__ = ["TrialsOfRun"]


class _AsEvents(SilentReporter):
    """Tells steps as events of a cell, as its own process tells those of the build."""

    def __init__(self, task: Task, heard: Heard) -> None:
        self._task, self._heard = task, heard

    def _tell(self, event: str, text: str) -> None:
        self._heard(self._task, {"event": event, "time": time.time(), "text": text})

    def step(self, text: str) -> None:
        """Documented by the Protocol."""
        self._tell("step", text)

    def warn(self, text: str) -> None:
        """Documented by the Protocol."""
        self._tell("warning", text)


@dataclass(frozen=True)
class TrialsOfRun:
    """What happens to every wheel of a run."""

    level: Level
    sources: Path
    """Of the project: the unpacked sdist."""
    failed: Path
    """The folder for wheels that fail, to be looked at."""
    context: Context
    heard: Heard
    seconds: float | None = None
    """That one program of a trial may take; unset: half an hour."""

    def of(self, task: Task, made: Made) -> Made:
        """Try a wheel; it goes on with what was found.

        Raises:
            AuditError: it failed, or could not be tried at all.
        """
        if self.level is Level.NONE:
            return made
        reporter = _AsEvents(task, self.heard)
        context = replace(self.context, reporter=reporter)
        trials = try_wheel(made.wheel, self.sources, self.level, context, seconds=self.seconds or PATIENCE)
        for trial in trials:
            if trial.passed is None:
                reporter.warn(f"not tried with {trial}: {trial.output.partition(chr(10))[0]}")
        kept = self.failed / made.wheel.name
        kept.unlink(missing_ok=True)
        try:
            check_trials(made.wheel, trials)
        except AuditError as error:
            self.failed.mkdir(exist_ok=True)
            shutil.copy2(made.wheel, kept)
            error.hint = f"{error.hint}; it is kept as {kept}"
            raise
        said: tuple[dict[str, Any], ...] = tuple({"name": str(trial), **trial.as_json()} for trial in trials)
        return replace(made, trials=said)
