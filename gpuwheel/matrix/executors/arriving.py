"""Cells that arrive from another machine: what travels, and how one is built where it arrives.

A request and an answer are plain data. Sources and wheels are blobs with their digests, which both sides check. A
machine keeps the sources that it was sent, by digest, and is sent them again only if they are gone.
"""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._cache import Cache
from gpuwheel._endings import as_ours
from gpuwheel._environment import arrived
from gpuwheel._limits import CLUSTER_BLOB, CLUSTER_LOG
from gpuwheel.errors import NetworkError, ToolchainError
from gpuwheel.matrix.broker.of_run import brokered
from gpuwheel.matrix.environments import BuildEnvironments, entered
from gpuwheel.matrix.executors import StoppedEarlyError
from gpuwheel.matrix.executors.local import LocalExecutor
from gpuwheel.matrix.own_wheel import own_contents
from gpuwheel.matrix.snapshot import SETTLED, Snapshot, extracted
from gpuwheel.matrix.tasks import Task
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline.session import jobs_of
from gpuwheel.toolchain import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["BEGUN", "Request", "build_here", "checked_blob", "own_version", "whole_blob"]

BEGUN = "begun"
"""The event that says that a cell's process starts now."""

_LOOK_EVERY = 0.5
"""Seconds between two looks at whether anybody still wants the wheel."""

_KIND: Any = "sources"


@dataclass(frozen=True)
class Request:
    """One cell for another machine."""

    task: Task
    gpuwheel: str
    """`own_version` of who asks."""
    sdist: str
    """Name of the sdist."""
    sha256: str
    """Of the sdist."""
    environment: Mapping[str, str]
    """Words for compilers (`travelling`)."""
    seconds: float | None
    """That building it may take."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Request:
        """From what `as_json` gave."""
        return cls(**{**document, "task": Task.from_json(document["task"])})

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "environment": dict(self.environment)}


def own_version() -> str:
    """Which gpuwheel this is: its version with a digest of all its files, as the wheel of itself has it.

    Raises:
        ToolchainError: gpuwheel runs from a folder that nobody installed.
    """
    return own_contents().version


def whole_blob(path: Path, sha256: str) -> bytes:
    """A file that is about to travel.

    Raises:
        NetworkError: it is larger than travels, or not the file of that digest.
    """
    size = path.stat().st_size
    if size > CLUSTER_BLOB.value:
        msg = f"{path.name} is too large to travel to another machine ({CLUSTER_BLOB.passed(f'{size:,} bytes')})"
        raise NetworkError(msg, hint="leave what no build needs out of it (sdist.exclude of scikit-build-core)")
    return checked_blob(path.read_bytes(), sha256, path.name)


def checked_blob(data: bytes, sha256: str, name: str) -> bytes:
    """What travelled, as it was sent.

    Raises:
        NetworkError: it is not.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        msg = f"{name} was damaged on its way between machines (found sha256 {found}, expected {sha256})"
        raise NetworkError(msg, hint="run it again with --resume; if it happens again, look at the machines' memory")
    return data


class _LackingError(Exception):
    """The sources are not here."""


def build_here(
    request: Request,
    blob: bytes | None,
    environ: Mapping[str, str],
    heard: Callable[[dict[str, Any]], None],
    is_wanted: Callable[[], bool],
) -> dict[str, Any]:
    """Build a cell that arrived, and answer: what was made, or why nothing was, or that the sources have to come too.

    Args:
        request: the cell.
        blob: the sdist; `None`: if it is not here, say so.
        environ: of this machine.
        heard: is told each event.
        is_wanted: whether whoever asked still waits; else what was started ends.
    """
    environ = arrived(environ, request.environment)
    cache = Cache.from_environment(environ)
    try:
        _check_version(request.gpuwheel)
        snapshot = Snapshot(Path(request.sdist), request.sha256, _sources(cache, request.sha256, blob))
        with cache.scratch() as scratch:
            log, out = scratch / "log", scratch / "out"
            out.mkdir()
            try:
                made = _made(request, snapshot, Context(cache, environ, _Told(heard)), (out, log), is_wanted)
            except Exception as error:  # noqa: BLE001  # it travels as data: the other side need not load our classes
                return _failure(error) | {"log": _end_of(log)}
            return made | {"log": _end_of(log)}
    except _LackingError:
        return {"lacks": request.sha256}
    except Exception as error:  # noqa: BLE001  # as above
        return _failure(error) | {"log": b""}


def _check_version(expected: str) -> None:
    found = own_version()
    if found != expected:
        msg = f"a worker has another gpuwheel than the one that asks (found {found}, expected {expected})"
        raise ToolchainError(msg, hint="install the same gpuwheel on every machine, and start the workers again")


def _sources(cache: Cache, sha256: str, blob: bytes | None) -> Path:
    """The folder of the sources."""

    def fill(folder: Path) -> None:
        if blob is None:
            raise _LackingError
        with cache.scratch() as scratch:
            sdist = scratch / "sdist.tar.gz"
            sdist.write_bytes(checked_blob(blob, sha256, "the sdist"))
            extracted(sdist, folder)
        time.sleep(SETTLED)

    folder = cache.publish_tree(_KIND, sha256, fill)
    return next(path for path in folder.iterdir() if path.is_dir())


def _made(
    request: Request, snapshot: Snapshot, context: Context, places: tuple[Path, Path], is_wanted: Callable[[], bool]
) -> dict[str, Any]:
    out, log = places
    reporter = context.reporter
    assert isinstance(reporter, _Told)  # noqa: S101  (for mypy)
    task = request.task

    def heard(_: Task, event: dict[str, Any]) -> None:
        reporter.heard(event)

    environments = BuildEnvironments(snapshot.root, context)
    with brokered([task], snapshot, context, heard, jobs_of(context.environ), 1) as found:
        executor = LocalExecutor(
            snapshot.root,
            lambda task: environments.python(task.python, task.settings),
            lambda python: {**entered(python, context.environ), **found},
            heard,
            slots=1,
            seconds=request.seconds,
        )
        reporter.tell(BEGUN)
        with _ending_unless(is_wanted, executor):
            made = executor.build(task, out, log)
    data = whole_blob(made.wheel, made.sha256)
    facts = {"name": made.wheel.name, "sha256": made.sha256, "cpu_seconds": made.cpu_seconds}
    return {"wheel": facts, "data": data}


@contextmanager
def _ending_unless(is_wanted: Callable[[], bool], executor: LocalExecutor) -> Iterator[None]:
    """End the cell when nobody waits for it any more: who asked may have been stopped, or be gone."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY):
            if not is_wanted():
                executor.stop()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, StoppedEarlyError):
        return {"stopped": True}
    ours = as_ours(error)
    facts = {"message": ours.message, "hint": ours.hint, "detail": ours.detail, "exit_code": ours.exit_code}
    return {"failed": facts}


def _end_of(log: Path) -> bytes:
    """What tools printed, or the end of it."""
    if not log.is_file():
        return b""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - CLUSTER_LOG.value))
        return file.read()


class _Told(SilentReporter):
    """Steps and warnings as the events that the process of a cell hands out."""

    # Documented by the Protocol.

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self.heard = heard

    def tell(self, event: str, **more: object) -> None:
        self.heard({"event": event, "time": round(time.time(), 3), **more})

    def step(self, text: str) -> None:
        self.tell("step", text=text)

    def warn(self, text: str) -> None:
        self.tell("warning", text=text)
