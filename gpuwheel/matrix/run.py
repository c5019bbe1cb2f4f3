"""`gpuwheel build`: a project's cells into one wheelhouse."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._cache import Cache
from gpuwheel._environment import anchored
from gpuwheel._files import atomic_file, sha256_of
from gpuwheel.audit.repair import Act, RepairRequest, repaired
from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake.memory import available_memory
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.matrix.broker.of_run import brokered
from gpuwheel.matrix.building import Outcome, State, build_all
from gpuwheel.matrix.environments import BuildEnvironments, entered
from gpuwheel.matrix.executors import Made
from gpuwheel.matrix.executors.container import ContainerExecutor, surroundings
from gpuwheel.matrix.executors.local import LocalExecutor
from gpuwheel.matrix.made_from import made_from
from gpuwheel.matrix.report.history import History
from gpuwheel.matrix.report.page import page
from gpuwheel.matrix.shards import told_costs
from gpuwheel.matrix.snapshot import unpacked
from gpuwheel.matrix.tasks import selected, task_of
from gpuwheel.matrix.trials import Level
from gpuwheel.matrix.trials.between import TrialsOfRun
from gpuwheel.matrix.wheelhouse import Wheelhouse
from gpuwheel.pipeline import Build
from gpuwheel.pipeline.finishing import refuse
from gpuwheel.pipeline.session import jobs_of
from gpuwheel.plan import local_labels
from gpuwheel.toolchain import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.matrix.executors import Executor, Heard
    from gpuwheel.matrix.executors.cluster_address import ClusterAddress
    from gpuwheel.matrix.shards import Shard
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Settings, Task
    from gpuwheel.model.reporter import Reporter

__all__ = ["Options", "Run", "named", "prepared", "tasks_of"]


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
    shard: Shard | None = None
    """Only this part of the cells; unset: all of them."""
    costs: tuple[Path, ...] = ()
    """Reports of earlier builds, by which parts are made equally long."""
    cluster: ClusterAddress | None = None
    """Whose machines build; unset: this one."""
    place: str | None = None
    """The platform or the image to build in, in containers of this machine; unset: on the machine itself."""
    test: Level = Level.NONE
    """How much each finished wheel is tried."""


class Run:
    """Cells that are about to be built."""

    def __init__(
        self,
        tasks: Sequence[Task],
        snapshot: Snapshot,
        wheelhouse: Wheelhouse,
        context: Context,
        options: Options,
    ) -> None:
        self.tasks = tuple(tasks)
        self.wheelhouse = wheelhouse
        self._snapshot, self._context, self._options = snapshot, context, options
        self._cores = jobs_of(context.environ)
        self._history = History(snapshot, self._cores, available_memory())
        self._outcomes: list[Outcome] = []

    def outcomes(self, heard: Heard) -> Iterator[Outcome]:
        """Build what an earlier run did not finish, and hand out what became of each cell.

        At the end, also an early one, the report is beside the wheels.
        """

        def both(task: Task, event: dict[str, Any]) -> None:
            self._history.heard(task, event)
            heard(task, event)

        try:
            for outcome in self._all(both):
                self._outcomes.append(outcome)
                yield outcome
        finally:
            self._write_report()

    def report(self) -> dict[str, Any]:
        """What became of the cells so far, schema 1 (`data/report.schema.json`)."""
        return self._history.document(self._outcomes)

    @property
    def page(self) -> Path:
        """Where the report for people is, once a run ended."""
        return self.wheelhouse.hidden / "report.html"

    def _all(self, heard: Heard) -> Iterator[Outcome]:
        kept = self.wheelhouse.finished(self.tasks) if self._options.resume else {}
        left = []
        for task in self.tasks:
            finished = kept.get(task.key)
            if finished is None:
                left.append(task)
            else:
                yield Outcome(task, State.KEPT, finished)
        cluster = self._options.cluster
        if left and cluster is not None:
            slots, seconds = self._options.slots, self._options.seconds
            executor = cluster.connect(self._context, self._snapshot, heard, slots=slots, seconds=seconds)
            yield from build_all(left, executor, self.wheelhouse, self._judge(heard))
        elif left:
            slots = self._options.slots or self._cores
            with brokered(left, self._snapshot, self._context, heard, self._cores, slots) as found:
                yield from build_all(left, self._executor(heard, found), self.wheelhouse, self._judge(heard))

    def _executor(self, heard: Heard, broker: Mapping[str, str]) -> Executor:
        slots, seconds = self._options.slots or self._cores, self._options.seconds
        if self._options.place is not None:
            around = surroundings(self._snapshot, self._options.place, self._context)
            return ContainerExecutor(around, self._context.environ, heard, slots=slots, seconds=seconds)
        environments = BuildEnvironments(self._snapshot.root, self._context)
        return LocalExecutor(
            self._snapshot.root,
            lambda task: environments.python(task.python, task.settings),
            lambda python: {**entered(python, self._context.environ), **broker},
            heard,
            slots=slots,
            seconds=seconds,
        )

    def _judge(self, heard: Heard) -> Callable[[Task, Made], Made]:
        failed = self.wheelhouse.hidden / "failed"
        level, seconds = self._options.test, self._options.seconds
        trials = TrialsOfRun(level, self._snapshot.root, failed, self._context, heard, seconds)
        return lambda task, made: trials.of(task, self._repaired(made))

    def _repaired(self, made: Made) -> Made:
        """The wheel that is fit to be in its place, from its bytes alone: whoever made it is not believed."""
        self.wheelhouse.check(made, self._snapshot)
        request = RepairRequest(environ=self._context.environ, epoch=epoch_of(self._context.environ))
        done = repaired(made.wheel, made.wheel.parent / "repaired", request, load_tables())
        refuse(done.findings)
        if done.act is Act.KEPT or done.path is None:
            return made
        with done.path.open("rb") as file:
            return Made(done.path, sha256_of(file), made.cpu_seconds)

    def _write_report(self) -> None:
        document = self.report()
        texts = {self.page: page(document), self.page.with_suffix(".json"): json.dumps(document, indent=2)}
        for path, text in texts.items():
            with atomic_file(path) as file:
                file.write(text.encode())


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
    context = Context(Cache.from_environment(environ), environ, reporter)
    build = Build(project, environ, settings, reporter)
    tasks_of(build, settings, options, {})  # first: what cannot be built is told before anything is written
    wheelhouse = Wheelhouse(options.out.absolute(), project.absolute())

    def make(folder: Path) -> Path:
        reporter.step("taking a snapshot of the sources")
        with redirect_stdout(sys.stderr):  # the inner backend talks; what a command prints is data
            return folder / build.sdist(folder)

    with unpacked(make, project.absolute(), context.cache, reporter) as snapshot:
        wheelhouse.keep(snapshot.sdist)
        tasks = tasks_of(build, settings, options, made_from(snapshot, context, options.test, options.place))
        yield Run(tasks, snapshot, wheelhouse, context, options)


def named(
    project: Path, environ: Mapping[str, str], settings: Settings, options: Options, reporter: Reporter
) -> tuple[str, ...]:
    """The identifiers of what `prepared` would build; nothing is written.

    Raises:
        PlanError: the patterns name nothing that can be built.
    """
    build = Build(project, anchored(environ, project.absolute()), settings, reporter)
    return tuple(task.identifier for task in tasks_of(build, settings, options, {}))


def tasks_of(build: Build, settings: Settings, options: Options, known: Mapping[str, Any]) -> tuple[Task, ...]:
    """What is to be built, as tasks.

    Args:
        build: of the project, which knows its plan.
        settings: `-C` of the run.
        options: which cells.
        known: what all wheels are made from, for the keys of the tasks.

    Raises:
        PlanError: the patterns name nothing that can be built.
    """
    # Of the whole plan: what a wheel is called must not depend on which others are built beside it.
    labels = local_labels(build.plan())
    given = build.config.settings.local
    tasks = tuple(
        task_of(one.cell, _labelled(settings, given, labels[one.cell.identifier]), known)
        for one in selected(build.plan(), options.patterns)
    )
    return tasks if options.shard is None else options.shard.of(tasks, told_costs(options.costs))


def _labelled(settings: Settings, given: str | None, label: str | None) -> Settings:
    """Settings with the local version of one cell: what the user gives all wheels, then what tells them apart."""
    local = ".".join(filter(None, (given, label)))
    return {**settings, "gpuwheel.local": local} if local else settings
