"""A process is lent to code that works on its current folder and its environment, and comes back as it was."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._endings import StoppedError, stopped_by_signals
from gpuwheel._process import environment, lent

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "a_backend_of_tests"


def state() -> dict[str, Any]:
    logger = logging.getLogger(PACKAGE)
    return {
        "folder": os.stat(os.curdir),  # noqa: PTH116  # it may have no path any more
        "environment": dict(os.environ),
        "path": list(sys.path),
        "temporary": tempfile.tempdir,
        "log": (list(logger.handlers), logger.level),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "modules": {name for name in sys.modules if name.startswith("provider")},
    }


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "project"
    root.mkdir()
    (root / "provider.py").write_text("VALUE = 1\n", encoding="utf-8")
    before = Path.cwd()
    yield root
    os.chdir(before)


def _bend(root: Path) -> None:
    """All that a backend may do to its process."""
    assert Path.cwd() == root
    os.environ["BENT"] = "yes"
    del os.environ["GIVEN"]
    sys.path.insert(0, str(root))
    __import__("provider")
    logging.getLogger(PACKAGE).addHandler(logging.NullHandler())
    logging.getLogger(PACKAGE).setLevel(logging.DEBUG)
    warnings.simplefilter("ignore")
    os.chdir("/")


@pytest.mark.parametrize("error", [None, ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("folder", ["/", "elsewhere", "deleted", "unreadable"])
def test_the_process_comes_back_as_it_was(project: Path, error: type[BaseException] | None, folder: str) -> None:
    place = project.parent / folder
    place.mkdir(exist_ok=True)
    os.chdir(place)
    if folder == "deleted":
        shutil.rmtree(place)
    elif folder == "unreadable":
        place.chmod(0o100)
    before = state()

    def work() -> None:
        with lent(project, {"GIVEN": "1", "PATH": os.environ["PATH"]}, PACKAGE):
            assert set(os.environ) == {"GIVEN", "PATH"}
            _bend(project)
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    assert state() == before


def test_a_signal_leaves_the_process_as_it_was(project: Path) -> None:
    def work() -> None:
        with stopped_by_signals(), lent(project, {"GIVEN": "1", "PATH": os.environ["PATH"]}, PACKAGE):
            _bend(project)
            signal.raise_signal(signal.SIGTERM)

    before = state()
    with pytest.raises(StoppedError, match="SIGTERM"):
        work()
    assert state() == before


def test_relative_entries_of_the_search_path_name_nothing_of_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with lent(project, {}, PACKAGE), pytest.raises(ImportError):
        __import__("provider")


def test_projects_have_providers_of_one_name(project: Path) -> None:
    other = project.parent / "other"
    other.mkdir()
    (other / "provider.py").write_text("VALUE = 22\n", encoding="utf-8")
    seen = []
    for root in (project, other):
        with lent(root, {}, PACKAGE):
            sys.path.insert(0, str(root))
            try:
                seen.append(__import__("provider").VALUE)
            finally:
                sys.path.remove(str(root))
    assert seen == [1, 22]


def test_the_package_remembers_nothing_of_a_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType(f"{PACKAGE}.settings")
    module.answer = functools.cache(lambda: os.environ["ANSWER"])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    said = []
    for answer in ("one", "two"):
        with lent(project, {"ANSWER": answer}, PACKAGE):
            said += [module.answer(), module.answer()]
    assert said == ["one", "one", "two", "two"]


def test_temporary_files_follow_the_environment(tmp_path: Path) -> None:
    tempfile.gettempdir()
    with environment({"TMPDIR": str(tmp_path)}):
        assert tempfile.gettempdir() == str(tmp_path)
    assert tempfile.gettempdir() != str(tmp_path)


def test_threads_take_turns(project: Path) -> None:
    def work(name: str) -> None:
        for _ in range(20):
            with lent(project, {"NAME": name}, PACKAGE):
                seen.append((name, os.environ["NAME"], Path.cwd()))

    seen: list[tuple[str, str, Path]] = []
    before = state()
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80
    assert all(name == found and folder == project for name, found, folder in seen)
    assert state() == before
