"""A run of pytest, or of any command, that tells which device code it executed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._files import write_if_changed
from gpuwheel.testing.coverage.coverage_counts import read_coverage
from gpuwheel.testing.coverage.coverage_page import coverage_page
from gpuwheel.testing.coverage.coverage_sources import covered_sources
from gpuwheel.testing.coverage.coverage_texts import coverage_json, coverage_lcov, coverage_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

__all__ = ["COVERAGE", "CoveredRun", "covered_command", "write_coverage"]

COVERAGE = "GPUWHEEL_FAKE_GPU_COVERAGE"
"""The folder in which each process counts what it executes, if it is set (native/coverage.c)."""


class CoveredRun:
    """A plugin of pytest, in the process that was started: those of pytest-xdist, and children, count for it."""

    def __init__(self, config: pytest.Config, to: Path) -> None:
        self._root = config.rootpath
        self._to = to
        self._folder = Path(tempfile.mkdtemp(prefix="gpuwheel-coverage-"))
        os.environ[COVERAGE] = str(self._folder)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 - pytest does not export its type
        """Tell it, and write the files."""
        for line in write_coverage(self._folder, self._root, self._to):
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Nothing is left of the counts."""
        os.environ.pop(COVERAGE, None)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def covered_command(environ: Mapping[str, str], root: Path, to: Path) -> Iterator[Mapping[str, str]]:
    """The environment of a command whose processes count what they execute; told on stderr when it has ended."""
    with tempfile.TemporaryDirectory(prefix="gpuwheel-coverage-") as folder:
        yield {**environ, COVERAGE: folder}
        sys.stderr.write("".join(f"{line}\n" for line in write_coverage(Path(folder), root, to)))


def write_coverage(counts: Path, root: Path, to: Path) -> list[str]:
    """Write index.html, lcov.info and coverage.json of what was counted into a folder; returns lines that tell of it.

    Args:
        counts: the folder that `GPUWHEEL_FAKE_GPU_COVERAGE` named.
        root: of the project, below which its sources are.
        to: is made if it is not there.
    """
    coverage = read_coverage(counts)
    sources, elsewhere = covered_sources(coverage, root)
    to.mkdir(parents=True, exist_ok=True)
    write_if_changed(to / "index.html", coverage_page(coverage, sources).encode())
    write_if_changed(to / "lcov.info", coverage_lcov(sources).encode())
    write_if_changed(to / "coverage.json", coverage_json(coverage, sources, elsewhere).encode())
    return [*coverage_lines(coverage, sources), f"  {to / 'index.html'}, lcov.info, coverage.json"]
