"""The broker of one run of `gpuwheel build`: what it hears of sources becomes events of their cells."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import because
from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.matrix.broker.server import Broker
from gpuwheel.wheel.naming import parse_sdist_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.matrix.broker.events import SourceEvent
    from gpuwheel.matrix.executors import Heard
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Task
    from gpuwheel.toolchain import Context

__all__ = ["brokered"]


@contextmanager
def brokered(
    tasks: Sequence[Task], snapshot: Snapshot, context: Context, heard: Heard, cores: int, slots: int
) -> Iterator[Mapping[str, str]]:
    """Share out cores and memory among compilers of all cells; the value is what their environment says of that.

    Args:
        tasks: the cells.
        snapshot: their sources.
        context: where costs are recorded, and who hears if cells are without a broker.
        heard: hears what becomes of sources.
        cores: those of all cells.
        slots: how many cells are built at once.
    """
    of = {task.identifier: task for task in tasks}

    def tell(event: SourceEvent) -> None:
        task = of.get(event.cell)
        if task is not None:
            heard(task, _heard(event))

    with context.cache.scratch() as folder, ExitStack() as stack:
        costs = RecordedCosts(context.cache, str(parse_sdist_name(snapshot.sdist.name)[0]))

        def failed(error: Exception) -> None:
            context.reporter.warn(f"compilers of different wheels do not know of each other any more: {because(error)}")

        at_once = max(1, min(len(of), slots))
        broker = Broker(cores, costs, on_event=tell, on_failure=failed, at_once=at_once)
        for identifier in of:
            broker.cell(identifier, snapshot.root)
        found: Mapping[str, str] = {}
        try:
            found = stack.enter_context(broker.serving(folder / "broker"))
        except OSError as error:  # a file system without sockets: then each cell knows itself alone
            context.reporter.info(f"compilers of different wheels do not know of each other: {error.strerror}")
        yield found


def _heard(event: SourceEvent) -> dict[str, Any]:
    """An event as workers tell theirs: "compiling", "source" when it ended, "reused"."""
    if event.what == "ended":
        told = {name: value for name, value in asdict(event).items() if name not in {"what", "cell", "at", "wall"}}
        told["waited"] = round(event.waited, 3)
        start = round(event.at - event.wall, 3)
        return {"event": "source", "time": round(event.at, 3), "start": start, "seconds": round(event.wall, 3), **told}
    kind = "compiling" if event.what == "started" else "reused"
    return {"event": kind, "time": round(event.at, 3), "text": f"{kind} {event.source}", "source": event.source}
