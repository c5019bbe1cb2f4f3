"""Every ending is an error of ours: words and an exit status for what the world does, a traceback for bugs of ours."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._endings import as_ours, reading
from gpuwheel._run import Completed, run
from gpuwheel.errors import AuditError, BugError, FileError

if TYPE_CHECKING:
    from collections.abc import Callable

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tiny"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies", "optional-dependencies"]

[tool.gpuwheel]
nvmath = ">=1.0"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "tiny").mkdir(parents=True)
    (root / "tiny" / "__init__.py").write_text("", encoding="utf-8")
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    return root


def _hook(project: Path, code: str, preexec: Callable[[], None] | None = None, **environ: str) -> Completed:
    program = f"from gpuwheel import backend; print(backend.{code})"
    cache = str(project.parent / "cache")
    done = subprocess.run(  # noqa: PLW1510,TID251  # preexec_fn
        [sys.executable, "-c", program],
        cwd=project,
        env={**os.environ, "GPUWHEEL_CACHE_DIR": cache, **environ},
        preexec_fn=preexec,  # one thread
        capture_output=True,
        text=True,
    )
    return Completed(tuple(done.args), done.returncode, done.stdout, done.stderr)


def _refused(done: Completed, code: int = FileError.exit_code) -> str:
    assert done.returncode == code, done.output
    assert "Traceback" not in done.output
    assert re.search(r"^error: ", done.stderr, re.MULTILINE)
    assert re.search(r"^hint: ", done.stderr, re.MULTILINE)
    return done.stderr


def test_the_project_builds(project: Path, tmp_path: Path) -> None:
    done = _hook(project, f"build_sdist({str(tmp_path)!r})")
    assert done.returncode == 0, done.output
    assert (tmp_path / "tiny-1.tar.gz").is_file()


@pytest.mark.parametrize(
    ("hook", "folder"),
    [
        ("build_sdist", "/proc"),
        ("build_wheel", "missing"),
        ("build_editable", "/dev/null"),
        ("prepare_metadata_for_build_wheel", "missing/deeper"),
    ],
)
def test_a_folder_that_takes_no_files(project: Path, folder: str, hook: str) -> None:
    words = _refused(_hook(project, f"{hook}({folder!r})"))
    assert f"error: {folder} cannot be read or written (" in words
    assert not (project / "missing").exists()


def test_a_folder_of_somebody_else(project: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    assert "(no permission)" in _refused(_hook(project, f"build_sdist({str(tmp_path)!r})"))


@pytest.mark.parametrize("size", [10, 60])
def test_files_may_not_grow(project: Path, tmp_path: Path, size: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (project / "tiny" / "data.bin").write_bytes(os.urandom(200_000))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size * 1000, size * 1000))

    done = _hook(project, f"build_sdist({str(out)!r})", limited)
    assert done.returncode in {7, FileError.exit_code}, done.output
    assert "Traceback" not in done.output
    assert "error: " in done.stderr
    assert list(out.iterdir()) == []


def test_the_working_folder_was_deleted(project: Path, tmp_path: Path) -> None:
    def deleted() -> None:
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    words = _refused(_hook(project, "get_requires_for_build_wheel()", deleted))
    assert "the current folder does not exist any more" in words
    code = f"{GONE}; from gpuwheel.cli import main; main(['plan'])"
    cli = run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert "Traceback" not in cli.output
    assert cli.returncode != 0


def test_a_bug_of_ours_says_so_and_keeps_its_traceback(project: Path) -> None:
    code = (
        "from gpuwheel import backend, pipeline\n"
        "def requires(*_, **__): raise TypeError('not like this')\n"
        "pipeline.Build.requires = requires\n"
        "backend.get_requires_for_build_wheel()\n"
    )
    done = run([sys.executable, "-c", code], cwd=project, check=False)
    assert done.returncode == BugError.exit_code
    assert "Traceback (most recent call last)" in done.stderr
    assert "this is a bug of gpuwheel" in done.stderr
    assert "hint: report it" in done.stderr


def test_the_traceback_of_a_mistake_is_there_for_who_asks(project: Path) -> None:
    (project / "pyproject.toml").write_text("x = [", encoding="utf-8")
    assert "Traceback" not in _hook(project, "get_requires_for_build_wheel()").output
    assert "Traceback" in _hook(project, "get_requires_for_build_wheel()", GPUWHEEL_DEBUG="1").stderr
    words = [sys.executable, "-m", "gpuwheel"]
    assert "Traceback" not in run([*words, "plan"], cwd=project, check=False).output
    asked = run([*words, "--debug", "plan"], cwd=project, check=False)
    assert "Traceback" in asked.stderr
    assert "error: pyproject.toml is not valid TOML" in asked.stderr


GONE = "import os, sys; os.mkdir('g'); os.chdir('g'); os.rmdir('../g')"
SLEEPER = """\
import subprocess, sys, time
if sys.argv[1:] == ["again"]:
    time.sleep(60)
    sys.exit()
subprocess.run([sys.executable, __file__, "again"])
"""


@pytest.mark.parametrize(
    ("number", "status", "apart"),
    [("SIGINT", 130, False), ("SIGTERM", 143, True), ("SIGTERM", 143, False), ("SIGHUP", 129, True)],
)
def test_a_signal_ends_what_was_started_and_removes_scratch_folders(
    tmp_path: Path, number: str, status: int, *, apart: bool
) -> None:
    sleeper, cache = tmp_path / "sleeper.py", tmp_path / "cache"
    sleeper.write_text(SLEEPER, encoding="utf-8")
    start = "gpuwheel._run.run" if apart else "subprocess.run"
    code = (
        "import pathlib, signal, subprocess, sys, gpuwheel._run, gpuwheel._cache\n"
        "from gpuwheel import backend, pipeline\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored\n"
        "def requires(*_, **__):\n"
        f"    with gpuwheel._cache.Cache(pathlib.Path({str(cache)!r})).scratch() as folder:\n"
        "        print(folder, flush=True)\n"
        f"        {start}([sys.executable, {str(sleeper)!r}])\n"
        "pipeline.Build.requires = requires\n"
        "backend.get_requires_for_build_wheel()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            scratch = Path(process.stdout.readline().strip())
            assert scratch.is_dir()
            _wait(lambda: len(_running(sleeper)) == 2)
            process.send_signal(getattr(signal, number))
            assert process.wait(20) == status
        finally:
            process.kill()
    _wait(lambda: not _running(sleeper))
    assert not scratch.exists()
    assert [path.name for path in scratch.parent.iterdir()] == []


def _running(program: Path) -> list[str]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(program) in line.read_bytes().split(b"\0"):
                found.append(line.parent.name)
    return found


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "dist/a.whl"), "dist/a.whl cannot be read or written (no space left"),
        (OSError(36, "File name too long", "a" * 5000), "its name is too long"),
        (OSError(2, "No such file", "a.whl", None, "b.whl"), "a.whl or b.whl cannot be read or written (no such file"),
        (OSError(9999, "odd"), "a file or folder cannot be read or written (odd)"),
        (MemoryError(), "memory ran out"),
    ],
)
def test_words_for_what_the_system_says(error: Exception, words: str) -> None:
    ours = as_ours(error)
    assert isinstance(ours, FileError)
    assert words in ours.message
    assert len(ours.message) < 400
    assert ours.hint


def _deep() -> object:
    return _deep()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_deep, "nested too deeply"),
        (lambda: json.loads("["), "Expecting value"),
        (b"\xff".decode, "not utf-8 text at byte 0"),
        (dict[str, str]().__getitem__, "TypeError|takes exactly one argument"),
        (lambda: {}["key"], "lacks 'key'"),
        (lambda: int("9" * 5000), "4300 digits|limit"),
    ],
)
def test_words_for_what_parsers_raise(damage: Callable[[], object], words: str) -> None:
    with pytest.raises(AuditError, match=words) as caught, reading("it is not readable", "something else"):
        damage()
    assert caught.value.__cause__ is not None
    assert caught.value.message.startswith("it is not readable (")
