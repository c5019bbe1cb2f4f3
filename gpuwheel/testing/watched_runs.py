"""A run of pytest on the pretend GPU that executes: a test fails by what its kernels and calls did wrong."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._files import write_if_changed
from gpuwheel.testing.ptx.reports import as_annotations, as_json, as_text
from gpuwheel.testing.said_mistakes import Facts, facts_in, mistakes_of, read_facts, write_facts

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["REPORTS", "WatchedRun"]

REPORTS = "GPUWHEEL_FAKE_GPU_REPORTS"
"""The folder in which each process writes down what it did wrong, if it is set."""


class WatchedRun:
    """A plugin of pytest, in each process of it: that of pytest-xdist's controller collects what the others have."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._driver.gpuwheel_fake_reports.restype = ctypes.c_char_p
        self._driver.gpuwheel_fake_executed.restype = ctypes.c_long
        self._facts: list[Facts] = []
        self._outside: list[Facts] = []
        self._executed = 0
        # Who watches the command that this pytest is, or a part of. Workers of pytest-xdist tell their first process.
        self._watcher = os.environ.get(REPORTS)
        # Child processes of tests write there; each process of pytest has its own children.
        self._folder = Path(tempfile.mkdtemp(prefix="gpuwheel-reports-", dir=self._watcher))
        self._seen = 0
        os.environ[REPORTS] = str(self._folder)

    def _new(self) -> list[Facts]:
        own = facts_in(self._driver.gpuwheel_fake_reports().decode(errors="replace"))
        others = read_facts(self._folder, but=(str(os.getpid()),))
        new = [*own, *others[self._seen :]]
        self._seen = len(others)
        self._facts += new
        return new

    def _judged(self, item: pytest.Item, phase: str) -> Generator[None, Any, Any]:
        self._driver.gpuwheel_fake_label(f"{item.nodeid}".encode())
        try:
            result = yield
        except BaseException:
            self._say(item, phase, fail=False)
            raise
        self._say(item, phase, fail=True)
        return result

    def _say(self, item: pytest.Item, phase: str, *, fail: bool) -> None:
        new = self._new()
        # A kernel's error would stay for all tests that come.
        self._driver.gpuwheel_fake_revive()
        if not new:
            return
        text = as_text(mistakes_of(new))
        if fail:
            pytest.fail(f"the pretend GPU reports:\n{text}", pytrace=False)
        item.add_report_section(phase, "pretend GPU", text)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fixtures begin."""
        return (yield from self._judged(item, "setup"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """The test runs."""
        return (yield from self._judged(item, "call"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fixtures end."""
        return (yield from self._judged(item, "teardown"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - of pytest-xdist
        """Take over what another process of this run has."""
        output = getattr(node, "workeroutput", {})
        self._facts += output.get("gpuwheel_facts", [])
        self._executed += output.get("gpuwheel_executed", 0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run by what was done outside of any test, and by what nothing freed; write the report."""
        self._driver.gpuwheel_fake_end()
        self._outside = new = self._new()
        if new and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        shutil.rmtree(self._folder, ignore_errors=True)
        self._executed += self._driver.gpuwheel_fake_executed()
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output.update(gpuwheel_facts=self._facts, gpuwheel_executed=self._executed)
            return
        if self._watcher:
            write_facts(Path(self._watcher), self._facts, self._executed)
        report = self._config.getoption("fake_gpu_report")
        if report:
            write_if_changed(Path(report), as_json(mistakes_of(self._facts)).encode())

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 - pytest does not export its type
        """Say what was executed, and mark the lines on GitHub."""
        mistakes = mistakes_of(self._facts)
        if self._outside:
            terminalreporter.write_line(f"outside of tests:\n{as_text(mistakes_of(self._outside))}")
        terminalreporter.write_line(
            f"gpuwheel: {self._executed} launches were executed; the checks found "
            f"{len(mistakes) or 'no'} mistake{'' if len(mistakes) == 1 else 's'}"
        )
        if mistakes and os.environ.get("GITHUB_ACTIONS") == "true":
            terminalreporter.write_line(as_annotations(mistakes))
