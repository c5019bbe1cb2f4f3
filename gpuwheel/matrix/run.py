"""`gpuwheel build`: a project's cells into one wheelhouse."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._environment import anchored, tool_environment
from gpuwheel._resources import resource
from gpuwheel.compile.reuse.store import tree_digest
from gpuwheel.errors import PlanError
from gpuwheel.matrix.building import Outcome, State, build_all
from gpuwheel.matrix.executors.local import LocalExecutor
from gpuwheel.matrix.snapshot import unpacked
from gpuwheel.matrix.tasks import selected, task_of
from gpuwheel.matrix.wheelhouse import Wheelhouse
from gpuwheel.pipeline import Build
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.matrix.executors import Executor, Heard, Made
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Settings, Task
    from gpuwheel.model.reporter import Reporter

__all__ = ["Options", "Run", "prepared"]


@dataclass(frozen=True)
class Options:
    """How to build, beside what."""

    out: Path
    """The wheelhouse."""
    patterns: tuple[str, ...] = ()
    """Of identifiers; none: every cell."""
    resume: bool = False
    """Take what an earlier run finished."""
    slots: int | None = None
    """How many cells at once; unset: one for each core."""
    seconds: float | None = None
    """That a cell may take."""


@dataclass(frozen=True)
class Run:
    """Cells that are about to be built."""

    tasks: tuple[Task, ...]
    snapshot: Snapshot
    wheelhouse: Wheelhouse
    environ: Mapping[str, str]
    options: Options

    def outcomes(self, heard: Heard) -> Iterator[Outcome]:
        """Build what an earlier run did not finish, and hand out what became of each cell."""
        kept = self.wheelhouse.finished(self.tasks) if self.options.resume else {}
        left = []
        for task in self.tasks:
            finished = kept.get(task.key)
            if finished is None:
                left.append(task)
            else:
                yield Outcome(task, State.KEPT, finished)
        if left:
            yield from build_all(left, self._executor(heard), self.wheelhouse, self._judged)

    def _executor(self, heard: Heard) -> Executor:
        slots = self.options.slots or len(os.sched_getaffinity(0))
        return LocalExecutor(
            self.snapshot.root, _python_of, self.environ, heard, slots=slots, seconds=self.options.seconds
        )

    def _judged(self, task: Task, made: Made) -> Made:
        del task
        self.wheelhouse.check(made, self.snapshot)
        return made


@contextmanager
def prepared(
    project: Path, environ: Mapping[str, str], settings: Settings, options: Options, reporter: Reporter
) -> Iterator[Run]:
    """Plan, take a snapshot of the sources, and say what is to be built.

    Raises:
        PlanError: the patterns name nothing that can be built.
        GpuwheelError: what making an sdist raises.
    """
    environ = anchored(environ, project.absolute())
    build, cache = Build(project, environ, settings, reporter), Cache.from_environment(environ)
    decisions = selected(build.plan(), options.patterns)
    wheelhouse = Wheelhouse(options.out.absolute())
    reporter.step("taking a snapshot of the sources")
    with redirect_stdout(sys.stderr):  # the inner backend talks; what a command prints is data
        sdist = wheelhouse.folder / build.sdist(wheelhouse.folder)
    with unpacked(sdist, project.absolute(), cache, reporter) as snapshot:
        made_from = _made_from(snapshot, environ)
        tasks = tuple(task_of(one.cell, settings, made_from) for one in decisions)
        yield Run(tasks, snapshot, wheelhouse, environ, options)


def _made_from(snapshot: Snapshot, environ: Mapping[str, str]) -> dict[str, Any]:
    """What all cells are made from, for their keys."""
    own = tree_digest(resource("include").parent)
    return {
        "sdist": snapshot.sha256,
        "gpuwheel": [__version__, own],
        "environment": dict(tool_environment(environ, "nvcc").key),
    }


def _python_of(task: Task) -> Path:
    if task.python not in {None, running_python()}:
        msg = f"{task.identifier} is built by Python {task.python} (found {running_python()})"
        raise PlanError(msg)
    return Path(sys.executable)
