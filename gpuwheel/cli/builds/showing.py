"""How `gpuwheel build` shows many cells at once: in place on a terminal, in groups in CI logs, as lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpuwheel.matrix.building import State
from gpuwheel.ui import Painter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpuwheel.matrix.building import Outcome
    from gpuwheel.matrix.tasks import Task
    from gpuwheel.matrix.wheelhouse import Wheelhouse
    from gpuwheel.ui import Board, Terminal

__all__ = ["Showing", "showing"]

_KEPT_LINES = 2000
"""Of a cell's log in the log of a CI job; the whole file stays beside the wheels."""


class Showing:
    """Lines for people, on stderr, from any thread."""

    def __init__(
        self, terminal: Terminal, wheelhouse: Wheelhouse, environ: Mapping[str, str], board: Board | None
    ) -> None:
        self._terminal, self._wheelhouse, self._board = terminal, wheelhouse, board
        self._painter = Painter(sys.stderr, environ)
        self._group = _grouped(environ)
        self._lock, self._warned = threading.Lock(), set[str]()

    def heard(self, task: Task, event: dict[str, Any]) -> None:
        """Show what a cell does, where that is no noise."""
        kind, text = event["event"], event.get("text", "")
        with self._lock:
            if self._board is not None:
                if kind in {"step", "progress"}:
                    self._board.show(task.identifier, text)
            elif kind == "step" and self._group is None:
                self._terminal.info(f"{task.identifier}: {text}")
            # What is true of one wheel is often true of all.
            if kind == "warning" and text not in self._warned:
                self._warned.add(text)
                self._terminal.warn(f"{task.identifier}: {text}")

    def ended(self, outcome: Outcome) -> None:
        """Show what became of a cell."""
        with self._lock:
            if self._board is not None:
                self._board.done(outcome.task.identifier)
            if self._group is not None and outcome.state is not State.KEPT:
                self._group(outcome.task.identifier, self._log(outcome), self._terminal.plain)
            self._verdict(outcome)

    def _verdict(self, outcome: Outcome) -> None:
        finished, paint = outcome.finished, self._painter.paint
        if finished is not None:
            how = "as an earlier run left it" if outcome.state is State.KEPT else f"{finished.seconds:.0f} s"
            self._terminal.plain(f"{paint('ok', '*')} {finished.wheel}  {finished.size / 1000:.0f} kB  {how}")
        elif outcome.error is not None:
            self._terminal.plain(f"{paint('error', 'failed:')} {outcome.task.identifier}")
            for line in outcome.error.render().splitlines():
                self._terminal.plain(f"  {line}")
            self._terminal.plain(f"  log: {self._wheelhouse.log(outcome.task)}")

    def _log(self, outcome: Outcome) -> list[str]:
        path = self._wheelhouse.log(outcome.task)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        left = len(lines) - _KEPT_LINES
        return [f"... {left} lines more in {path}", *lines[-_KEPT_LINES:]] if left > 0 else lines


@contextmanager
def showing(terminal: Terminal, wheelhouse: Wheelhouse, environ: Mapping[str, str], total: int) -> Iterator[Showing]:
    """Show `total` cells."""
    with terminal.board("wheels", total) as board:
        yield Showing(terminal, wheelhouse, environ, board)


def _grouped(environ: Mapping[str, str]) -> Callable[[str, list[str], Callable[[str], None]], None] | None:
    """How the CI service that this runs in folds lines of a log away; `None`: it is none that we know."""
    # GitHub: "Workflow commands"; GitLab: "Custom collapsible sections".
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github_group
    return _gitlab_section if environ.get("GITLAB_CI") == "true" else None


def _github_group(name: str, lines: list[str], say: Callable[[str], None]) -> None:
    say(f"::group::{name}")
    # What a compiler prints is no command to the runner.
    for line in lines:
        say(f" {line}" if line.lstrip().startswith("::") else line)
    say("::endgroup::")


def _gitlab_section(name: str, lines: list[str], say: Callable[[str], None]) -> None:
    key = "".join(character if character.isalnum() else "_" for character in name)
    say(f"\x1b[0Ksection_start:{int(time.time())}:{key}[collapsed=true]\r\x1b[0K{name}")
    for line in lines:
        say(line)
    say(f"\x1b[0Ksection_end:{int(time.time())}:{key}\r\x1b[0K")
