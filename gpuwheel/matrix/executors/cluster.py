"""Cells on the workers of a dask cluster: the only module that knows dask. Workers and scheduler import it too.

Each cell is one task, which starts a process on its worker (`arriving`). Tasks of a worker that is lost go to another
by dask's own doing; wheels and logs come back in the answer, and events while it is made.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import distributed
from distributed.security import Security

from gpuwheel._endings import because
from gpuwheel._limits import CLUSTER_BLOB, CLUSTER_EVENTS
from gpuwheel.errors import ConfigError, GpuwheelError, NetworkError, ToolchainError
from gpuwheel.matrix.executors import CellFailedError, Made, StoppedEarlyError
from gpuwheel.matrix.executors.arriving import BEGUN, Request, build_here, checked_blob, own_version, whole_blob
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpuwheel.matrix.executors import Heard
    from gpuwheel.matrix.executors.cluster_address import ClusterAddress
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Task

__all__ = ["ClusterExecutor", "cell", "connected"]

_LOOK_EVERY = 1.0
_CONNECTING, _CLOSING = 30.0, 10.0
"""Seconds that a scheduler may take to answer, and to let go."""
_PATIENCE = 60.0
"""Seconds that a run waits for a worker where none is left: about what it takes to start one again."""
_SILENT = 60.0
"""Seconds beyond its time after which the worker of a cell counts as hung, which should have ended the cell itself."""
_HUNG = 124
_FILES = "--dask-ca ca.pem --dask-cert client.pem --dask-key client.key"
_WANTED = {"executing", "long-running"}


# --- On a worker ------------------------------------------------------------------------------------------------------


def cell(request: str, blob: bytes | None, topic: str) -> dict[str, Any]:
    """The task of dask: build what `request` says, and tell what happens under `topic`."""
    worker = distributed.get_worker()
    key = worker.get_current_task()
    attempt, events = secrets.token_hex(8), list[dict[str, Any]]()

    def heard(event: dict[str, Any]) -> None:
        if len(events) < CLUSTER_EVENTS.value:
            events.append(event)
            worker.log_event(topic, {"key": key, "attempt": attempt, "number": len(events), "event": event})

    def is_wanted() -> bool:
        # Dask does not end what a thread does, but knows that the client cancelled it, or is gone.
        state = worker.state.tasks.get(key)
        return state is not None and state.state in _WANTED

    answer = build_here(Request.from_json(json.loads(request)), blob, dict(os.environ), heard, is_wanted)
    return answer | {"worker": worker.address, "attempt": attempt, "events": events}


# --- On the machine that asks -----------------------------------------------------------------------------------------


def connected(
    address: ClusterAddress,
    snapshot: Snapshot,
    environment: Mapping[str, str],
    heard: Heard,
    *,
    slots: int | None,
    seconds: float | None,
) -> ClusterExecutor:
    """Reach a cluster, or start one, and see that its workers run this gpuwheel.

    Args:
        address: of the scheduler.
        snapshot: of the sources.
        environment: words for compilers (`travelling`).
        heard: is told what happens.
        slots: how many cells at once; unset: one for each worker.
        seconds: that a cell may take.

    Raises:
        ConfigError: the certificates are missing, or none.
        NetworkError: it does not answer, or refuses.
        ToolchainError: it has no worker, or one with another gpuwheel.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # each loss of a connection, with its traceback
    cluster = None if address.scheduler else _started(slots or len(os.sched_getaffinity(0)))
    security = cluster.security if cluster else _security(address)
    target = cluster.scheduler_address if cluster else address.scheduler
    try:
        client = _client(str(target), security, _CONNECTING if seconds is None else min(_CONNECTING, seconds))
    except BaseException:
        if cluster:
            cluster.close(timeout=_CLOSING)
        raise
    executor = ClusterExecutor(client, snapshot, environment, heard, seconds=seconds, cluster=cluster)
    try:
        executor.slots = slots or executor.checked_workers()
    except BaseException:
        executor.stop()
        raise
    return executor


def _started(workers: int) -> Any:  # noqa: ANN401 (dask has no types)
    """A cluster of processes of this machine, which only who has this process's certificate reaches."""
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=None,
        security=Security.temporary(),
        silence_logs=logging.CRITICAL,
    )


def _security(address: ClusterAddress) -> Any:  # noqa: ANN401 (dask has no types)
    if not address.is_encrypted:
        return None
    files = {
        "tls_ca_file": address.authority,
        "tls_client_cert": address.certificate,
        "tls_client_key": address.key,
    }
    stated = {name: os.fspath(path) for name, path in files.items() if path is not None}
    security = Security(require_encryption=True, **stated)
    if not security.tls_ca_file or not security.tls_client_cert:
        msg = "no certificates are stated for a cluster that is reached by TLS (found none, expected three files)"
        raise ConfigError(msg, hint=_FILES)
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:  # of which ssl's are kinds
        msg = (
            f"the certificates for a cluster cannot be used ({because(error)}, expected PEM files that belong together)"
        )
        raise ConfigError(msg, hint=_FILES) from error
    return security


def _client(target: str, security: Any, seconds: float) -> Any:  # noqa: ANN401 (dask has no types)
    try:
        with warnings.catch_warnings():
            # That Pythons differ: each cell has its own.
            warnings.simplefilter("ignore")
            return distributed.Client(target, security=security, timeout=seconds, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reasons = list(dict.fromkeys(str(each) for each in _chain(error) if str(each)))
        msg = f"the scheduler {target} cannot be reached ({reasons[-1]})"
        hint = "see that it runs, and that its certificates and yours are signed by the same authority (--dask-ca)"
        raise NetworkError(msg, hint=hint, detail="\n".join(reasons[:-1]) or None) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class ClusterExecutor:
    """An `Executor` whose processes are other machines'."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 (dask has no types)
        snapshot: Snapshot,
        environment: Mapping[str, str],
        heard: Heard,
        *,
        seconds: float | None,
        cluster: Any = None,  # noqa: ANN401 (dask has no types)
    ) -> None:
        """Build by `client`, which is closed at the end, and so is `cluster`."""
        self._client, self._cluster = client, cluster
        self._snapshot, self._environment, self._heard, self._seconds = snapshot, environment, heard, seconds
        self._patience = min(_PATIENCE, seconds) if seconds is not None else _PATIENCE
        self._version = own_version()
        self._topic = f"gpuwheel-{secrets.token_hex(8)}"
        self._lock, self._is_stopped = threading.Lock(), False
        self._hearing: dict[str, _Hearing] = {}
        self._futures = set[Any]()
        self._alone_since: float | None = None
        self.slots = 1
        client.subscribe_topic(self._topic, self._told)

    def checked_workers(self) -> int:
        """How many there are, once there is one.

        Raises:
            ToolchainError: there is none, or one has another gpuwheel.
        """
        try:
            self._client.wait_for_workers(1, timeout=self._patience)
        except distributed.TimeoutError:
            msg = f"the cluster has no worker (waited {self._patience:g} s, expected one or more)"
            raise ToolchainError(msg, hint="start some: dask worker SCHEDULER --nthreads 1") from None
        found: dict[str, Any] = self._client.run(own_version, on_error="return")
        try:
            found["the scheduler"] = self._client.run_on_scheduler(own_version)
        except Exception as error:  # noqa: BLE001  # whatever it is, it has no gpuwheel that answers
            found["the scheduler"] = error
        for address, version in sorted(found.items()):
            if version != self._version:
                has = because(version) if isinstance(version, BaseException) else version
                msg = f"{address} has another gpuwheel than this machine (found {has}, expected {self._version})"
                raise ToolchainError(
                    msg, hint="install the same gpuwheel on every machine, and start scheduler and workers again"
                )
        return len(found) - 1

    def stop(self) -> None:
        """Documented by the Protocol."""
        with self._lock:
            if self._is_stopped:
                return
            self._is_stopped = True
            futures = list(self._futures)
        # Workers look whether their tasks are still wanted, and end the processes. Whatever fails here, it is the end.
        with suppress(Exception):
            self._client.cancel(futures, force=True)
        with suppress(Exception):
            self._client.close(timeout=_CLOSING)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=_CLOSING)

    def build(self, task: Task, out: Path, log: Path) -> Made:
        """Documented by the Protocol."""
        answer = self._answer(task, None, None)
        if "lacks" in answer:
            blob = whole_blob(self._snapshot.sdist, self._snapshot.sha256)
            answer = self._answer(task, blob, answer["worker"])
        if "stopped" in answer or "lacks" in answer:
            raise StoppedEarlyError
        log.write_bytes(answer["log"])
        if "failed" in answer:
            failed = answer["failed"]
            raise CellFailedError(
                failed["message"], exit_code=failed["exit_code"], hint=failed["hint"], detail=failed["detail"]
            )
        wheel, data = answer["wheel"], answer["data"]
        parse_wheel_name(wheel["name"])  # a name of a file, and no path that leads elsewhere
        if len(data) > CLUSTER_BLOB.value:
            msg = f"{wheel['name']} is too large ({CLUSTER_BLOB.passed(f'{len(data):,} bytes')})"
            raise NetworkError(msg)
        path = out / wheel["name"]
        path.write_bytes(checked_blob(data, wheel["sha256"], wheel["name"]))
        return Made(path, wheel["sha256"], float(wheel["cpu_seconds"]))

    def _answer(self, task: Task, blob: bytes | None, worker: str | None) -> dict[str, Any]:
        """Hand a cell to the cluster, and wait for what comes back."""
        snapshot = self._snapshot
        request = Request(
            task, self._version, snapshot.sdist.name, snapshot.sha256, self._environment, seconds=self._seconds
        )
        key = f"gpuwheel-{secrets.token_hex(8)}"
        hearing = _Hearing(task, self._heard)
        with self._lock:
            if self._is_stopped:
                raise StoppedEarlyError
            self._hearing[key] = hearing
        wanted: dict[str, Any] = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        try:
            with self._handed_in(request, blob, key, wanted) as future:
                self._wait(future, hearing)
                answer: dict[str, Any] = future.result()
        except Exception as error:
            if self._is_stopped:
                raise StoppedEarlyError from None
            raise _as_failed(error) from error
        finally:
            with self._lock:
                del self._hearing[key]
        hearing.catch_up(answer["attempt"], answer["events"])
        return answer

    @contextmanager
    def _handed_in(self, request: Request, blob: bytes | None, key: str, wanted: dict[str, Any]) -> Iterator[Any]:
        """A task of dask; what is left of it at the end, also an early one, is ended and forgotten."""
        text = json.dumps(request.as_json())
        future = self._client.submit(cell, text, blob, self._topic, key=key, pure=False, **wanted)
        with self._lock:
            self._futures.add(future)
        try:
            yield future
        finally:
            with self._lock:
                self._futures.discard(future)
            with suppress(Exception):
                future.cancel(force=True)

    def _wait(self, future: Any, hearing: _Hearing) -> None:  # noqa: ANN401 (dask has no types)
        while not future.done():
            with suppress(distributed.TimeoutError):
                future.exception(timeout=_LOOK_EVERY)
            if self._is_stopped:
                raise StoppedEarlyError
            self._check_company()
            begun = hearing.begun
            if self._seconds is not None and begun is not None and time.monotonic() > begun + self._seconds + _SILENT:
                msg = f"it was not done after {self._seconds:g} s, and its worker does not answer"
                raise CellFailedError(msg, exit_code=_HUNG, hint="start that worker again")

    def _check_company(self) -> None:
        """See that there is a worker, or may be one soon."""
        workers = self._client.nthreads()
        with self._lock:
            if workers:
                self._alone_since = None
                return
            self._alone_since = self._alone_since or time.monotonic()
            waited = time.monotonic() - self._alone_since
        if waited >= self._patience:
            msg = f"the cluster has no worker any more (waited {self._patience:g} s, expected one or more)"
            hint = "start some (dask worker SCHEDULER --nthreads 1), then gpuwheel build --resume"
            raise CellFailedError(msg, exit_code=NetworkError.exit_code, hint=hint)

    def _told(self, message: tuple[float, Any]) -> None:
        """An event of any cell, in a thread of dask's."""
        said = message[1]
        with self._lock:
            hearing = self._hearing.get(str(said.get("key"))) if isinstance(said, dict) else None
        if hearing is not None:
            hearing.told(said["attempt"], said["number"], said["event"])


class _Hearing:
    """The events of one cell: each once and in order, though some come on the way and all come with the answer."""

    def __init__(self, task: Task, heard: Heard) -> None:
        self._task, self._heard = task, heard
        self._lock = threading.Lock()
        self._attempt, self._count = "", 0
        self.begun: float | None = None
        """When its process began, by the clock of this machine."""

    def told(self, attempt: str, number: int, event: dict[str, Any]) -> None:
        """What came on the way; what does not follow on the one before waits for the answer."""
        with self._lock:
            if attempt != self._attempt and number == 1:
                # Another worker took it on.
                self._attempt, self._count, self.begun = attempt, 0, None
            if attempt == self._attempt and number == self._count + 1:
                self._hear(event)

    def catch_up(self, attempt: str, events: list[dict[str, Any]]) -> None:
        """What came with the answer."""
        with self._lock:
            if attempt != self._attempt:
                self._attempt, self._count = attempt, 0
            for event in events[self._count :]:
                self._hear(event)

    def _hear(self, event: dict[str, Any]) -> None:
        self._count += 1
        if event.get("event") == BEGUN:
            self.begun = time.monotonic()
        else:
            self._heard(self._task, event)


def _as_failed(error: Exception) -> Exception:
    """What dask raised, for people."""
    if isinstance(error, (GpuwheelError, StoppedEarlyError)):
        return error
    if isinstance(error, distributed.KilledWorker):
        msg = "the workers that built it ended one after the other"
        hint = "the kernel ends processes where memory runs out: see dmesg there, and give workers fewer cells at once"
        return CellFailedError(msg, exit_code=1, hint=hint, detail=str(error))
    msg = f"the cluster did not build it ({type(error).__name__}: {because(error)})"
    hint = "see that the scheduler runs and that every machine has the same gpuwheel, then gpuwheel build --resume"
    return CellFailedError(msg, exit_code=NetworkError.exit_code, hint=hint)
