"""A plugin of pytest, in the place of a trial: it notes beside itself that a run began, and how its tests ended.

It imports nothing of gpuwheel and nothing of pytest. One line for each: `{}` as a run begins, its counts as it ends.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

__all__ = ["pytest_configure"]


def pytest_configure(config: Any) -> None:  # noqa: ANN401 (of pytest)
    """Begin; processes of pytest-xdist tell the one that started them, which counts."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Counting())


class _Counting:
    """One run, of which a process may hold several."""

    def __init__(self) -> None:
        self._counts = Counter[str](passed=0)
        self._note({})

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401
        """Count one phase of a test: its call, or what went wrong or was left out around it."""
        if report.when == "call" or report.outcome != "passed":
            is_expected = hasattr(report, "wasxfail") and report.outcome == "skipped"
            self._counts["xfailed" if is_expected else report.outcome] += 1

    def pytest_collectreport(self, report: Any) -> None:  # noqa: ANN401
        """Count files that are skipped whole, or cannot be read."""
        if report.outcome != "passed":
            self._counts[report.outcome] += 1

    def pytest_sessionfinish(self) -> None:
        """Note the counts."""
        self._note(self._counts)

    @staticmethod
    def _note(counts: dict[str, int]) -> None:
        with Path(__file__).with_suffix(".jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(counts) + "\n")
