"""What a compiler says is asked once, and again as soon as anything that it depends on is another.

The compiler here is `date`, which never says the same twice.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import ProcessFailedError
from gpuwheel.toolchain.compiler_answers import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = ["+%s %N"]


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    return shutil.copy(shutil.which("date") or "", tmp_path / "x86_64-linux-gnu-g++-12")


@pytest.fixture
def said(compiler: Path, tmp_path: Path) -> Callable[..., str]:
    def ask_it(program: Path = compiler, *arguments: str, **environ: str) -> str:
        place = {"GPUWHEEL_CACHE_DIR": str(tmp_path / "cache"), "PATH": "/usr/bin"}
        return ask([str(program), *arguments], NOW, {**place, **environ})

    return ask_it


def test_an_answer_stands(said: Callable[..., str]) -> None:
    assert said() == said()


def test_not_where_the_cache_is_another_or_gone(said: Callable[..., str], tmp_path: Path) -> None:
    first = said()
    assert said(GPUWHEEL_CACHE_DIR=str(tmp_path / "other")) != first
    shutil.rmtree(tmp_path / "cache")
    assert said() != first


def test_a_program_that_was_replaced_is_asked_again(said: Callable[..., str], compiler: Path) -> None:
    first = said()
    status = compiler.stat()
    shutil.copy(compiler, compiler.with_suffix(".new"))
    compiler.with_suffix(".new").replace(compiler)
    os.utime(compiler, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size and time
    assert said() != first


@pytest.mark.parametrize("variable", ["CPATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LC_ALL", "PATH"])
def test_variables_that_compilers_read_count(said: Callable[..., str], tmp_path: Path, variable: str) -> None:
    assert said() != said(**{variable: str(tmp_path) if variable != "LC_ALL" else "C"})


def test_launchers_scripts_and_arguments_are_not_believed(
    said: Callable[..., str], compiler: Path, tmp_path: Path
) -> None:
    """What they say depends on more than their own file."""
    script = tmp_path / "scripts" / "g++"
    launcher = tmp_path / "ccache"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {compiler} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    shutil.copy(compiler, launcher)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "g++-12").symlink_to(launcher)  # as Debian's /usr/lib/ccache
    for program in (script.rename(tmp_path / "scripts" / "g++-12"), launcher, tmp_path / "linked" / "g++-12"):
        assert said(program) != said(program)
    assert said(compiler, "--utc") != said(compiler, "--utc")


def test_a_damaged_note_is_none(said: Callable[..., str], tmp_path: Path) -> None:
    first = said()
    (note,) = (tmp_path / "cache").rglob("compilers.json")
    for damage in (b"", b"[]", b"{", b'{"a": 1}', note.read_bytes()[:-9]):
        note.write_bytes(damage)
        assert said() != first


def test_the_oldest_answers_make_room(said: Callable[..., str], tmp_path: Path) -> None:
    said()
    (note,) = (tmp_path / "cache").rglob("compilers.json")
    note.write_text(json.dumps({str(number): {"text": "", "from": {}} for number in range(1000)}), encoding="utf-8")
    first = said()
    assert len(json.loads(note.read_bytes())) < 500
    assert said() == first


def test_failures_are_not_kept(compiler: Path, tmp_path: Path) -> None:
    environ = {"GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    for _ in range(2):
        with pytest.raises(ProcessFailedError):
            ask([str(compiler)], ["--no-such-option"], environ)


def test_a_cache_that_cannot_be_written_costs_time_alone(said: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    first, began = said(), time.time()
    assert first != said()
    assert float(first.split()[0]) <= began
