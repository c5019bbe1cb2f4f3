"""What happened when: the events of every cell, as they are heard, and the document that is made of them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.matrix.building import Outcome
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Task

__all__ = ["History"]

_SCHEMA = 1


class History:
    """Hears everything of one run, from any thread."""

    def __init__(self, snapshot: Snapshot, cores: int, memory: int | None) -> None:
        """Begin now.

        Args:
            snapshot: what is built.
            cores: that compilers may use.
            memory: bytes that they may; `None`: unknown.
        """
        self._snapshot, self._cores, self._memory = snapshot, cores, memory
        self._started = time.time()
        self._lock = threading.Lock()
        self._events = defaultdict[str, list[dict[str, Any]]](list)

    def heard(self, task: Task, event: dict[str, Any]) -> None:
        """Remember an event that says something of the time afterwards."""
        if event["event"] in _LASTING:
            with self._lock:
                self._events[task.identifier].append(event)

    def document(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """The report, schema 1 (`data/report.schema.json`)."""
        sdist = self._snapshot.sdist.name
        with self._lock:
            cells = [self._cell(outcome) for outcome in outcomes]
        return {
            "schema": _SCHEMA,
            "gpuwheel": __version__,
            "sdist": {"file": sdist, "sha256": self._snapshot.sha256},
            "version": str(self._snapshot.version),
            "started": round(self._started, 3),
            "seconds": round(time.time() - self._started, 2),
            "machine": {"cores": self._cores, "memory": self._memory},
            "cells": cells,
        }

    def _cell(self, outcome: Outcome) -> dict[str, Any]:
        finished, error = outcome.finished, outcome.error
        events = self._events[outcome.task.identifier]
        return {
            "identifier": outcome.task.identifier,
            "state": outcome.state.value,
            "python": outcome.task.python,
            "wheel": finished.wheel if finished else None,
            "sha256": finished.sha256 if finished else None,
            "size": finished.size if finished else None,
            "started": round(events[0]["time"] - self._started, 2) if events else None,
            "seconds": round(outcome.seconds, 2),
            "cpu_seconds": round(outcome.cpu_seconds, 2),
            "error": None if error is None else _error(error),
            "stages": self._stages(events, outcome),
            "warnings": [event["text"] for event in events if event["event"] == "warning"],
            "sources": [self._source(event) for event in events if event["event"] == "source"],
            "reused": [event["source"] for event in events if event["event"] == "reused"],
            "trials": list(outcome.trials),
        }

    def _stages(self, events: Sequence[dict[str, Any]], outcome: Outcome) -> list[dict[str, Any]]:
        """Each ends where the next begins, the last with its cell."""
        steps = [event for event in events if event["event"] == "step"]
        if not steps:
            return []
        begins = [step["time"] for step in steps]
        ends = [*begins[1:], max(begins[-1], begins[0] + outcome.seconds)]
        return [
            {"text": step["text"], "start": round(start - self._started, 2), "seconds": round(end - start, 2)}
            for step, start, end in zip(steps, begins, ends, strict=True)
        ]

    def _source(self, event: dict[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in event.items() if name not in {"event", "time", "start"}}
        return {**told, "start": round(event["start"] - self._started, 2)}


def _error(error: Any) -> dict[str, Any]:  # noqa: ANN401 (of ours)
    return {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}


_LASTING = {"reused", "source", "step", "warning"}
