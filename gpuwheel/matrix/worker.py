"""`python -m gpuwheel.matrix.worker`: build one cell, which is one process, and say what happens, an event a line.

It reads one JSON object from stdin: `root`, `out`, `settings` and `cell`, its name. Events are objects on stdout;
whatever compilers print, and the same events in words, go to stderr. It ends when the process that started it does,
however that ended.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from gpuwheel._endings import StoppedError, as_ours, stopped_by_signals
from gpuwheel._files import sha256_of
from gpuwheel.compile.cmake.asking import CELL
from gpuwheel.errors import BugError
from gpuwheel.pipeline import Build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["main"]

_LOOK_EVERY = 1.0  # seconds


class _Events:
    """A `Reporter` whose listener is another process."""

    # Documented by the Protocol.

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def emit(self, event: str, /, **more: object) -> None:
        self._stream.write(json.dumps({"event": event, "time": round(time.time(), 3), **more}) + "\n")
        self._stream.flush()

    def _both(self, event: str, text: str, words: str) -> None:
        sys.stderr.write(f"{words}{text}\n")
        sys.stderr.flush()
        self.emit(event, text=text)

    def step(self, text: str) -> None:
        self._both("step", text, "* ")

    def info(self, text: str) -> None:
        self._both("info", text, "  ")

    def warn(self, text: str) -> None:
        self._both("warning", text, "warning: ")

    def command(self, argv: Sequence[str]) -> None:
        self._both("command", shlex.join(argv), "> ")

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[_Share]:
        share = _Share(self, label, total, unit)
        share.advance(0)
        yield share
        share.tell()


class _Share:
    """How much of a long piece of work is done, told at most once a second."""

    def __init__(self, events: _Events, label: str, total: int | None, unit: str) -> None:
        self._events, self._label, self._total, self._unit = events, label, total, unit
        self._done, self._told = 0, float("-inf")

    def advance(self, amount: int) -> None:
        self._done += amount
        if time.monotonic() - self._told > _LOOK_EVERY:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        self._events.emit("progress", text=self._label, done=self._done, total=self._total, unit=self._unit)


def main() -> int:
    """Build what stdin says; the exit status is that of the error, if there is one."""
    request = json.loads(sys.stdin.read())
    events = _Events(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever else writes to stdout, compilers above all, must not look like an event
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        with stopped_by_signals():
            return _built(request, events)
    except StoppedError as stop:
        return stop.exit_code
    except Exception as error:  # noqa: BLE001  # this is where everything ends
        ours = as_ours(error)
        if isinstance(ours, BugError) or os.environ.get("GPUWHEEL_DEBUG"):
            traceback.print_exception(error)
        sys.stderr.write(f"{ours.render()}\n")
        events.emit("failed", message=ours.message, hint=ours.hint, detail=ours.detail, exit_code=ours.exit_code)
        return ours.exit_code


def _built(request: dict[str, object], events: _Events) -> int:
    out = Path(str(request["out"]))
    settings = request["settings"]
    assert isinstance(settings, dict)  # noqa: S101  (for mypy: our own executor wrote it)
    environ = {**os.environ, CELL: str(request.get("cell", ""))}
    name = Build(Path(str(request["root"])), environ, settings, events).wheel(out)
    with (out / name).open("rb") as file:
        digest = sha256_of(file)
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    events.emit("wheel", name=name, sha256=digest, cpu_seconds=round(seconds, 2))
    return 0


def _end_with(parent: int) -> None:
    """End this process and all that it started once `parent` is gone: kill -9 tells nobody."""
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
