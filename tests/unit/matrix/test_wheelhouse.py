"""Where finished wheels go: what is the user's stays as it is, and two runs do not disturb each other."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._files import held_folder
from gpuwheel._run import run
from gpuwheel.errors import FileError
from gpuwheel.matrix.tasks import Task
from gpuwheel.matrix.wheelhouse import Wheelhouse

if TYPE_CHECKING:
    from pathlib import Path

_TASK = Task("embed-cu12.9-any", None, {}, (), "k")


@pytest.mark.parametrize(
    ("there", "is_ignored"), [([], True), (["ops-1-py3-none-any.whl", "ops-1.tar.gz"], True), (["notes.txt"], False)]
)
def test_git_does_not_see_a_folder_of_wheels_alone(tmp_path: Path, there: list[str], *, is_ignored: bool) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in there:
        (folder / name).write_text("")
    Wheelhouse(folder, tmp_path)
    Wheelhouse(folder, tmp_path)
    assert (folder / ".gitignore").exists() is is_ignored


def test_wheels_do_not_lie_among_the_sources(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link", tmp_path / "a" / ".."):
        with pytest.raises(FileError):
            Wheelhouse(folder, tmp_path)
    assert not (tmp_path / ".gitignore").exists()


def test_two_runs_have_places_of_their_own_for_what_is_not_finished(tmp_path: Path) -> None:
    first, second = Wheelhouse(tmp_path / "dist"), Wheelhouse(tmp_path / "dist")
    with first.staging(_TASK) as one:
        (one / "a.whl").write_text("")
        with second.staging(_TASK) as other:
            assert list(other.iterdir()) == []
        assert [path.name for path in one.iterdir()] == ["a.whl"]


def test_what_a_killed_run_left_goes_and_what_another_is_making_stays(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / ".gpuwheel" / "unfinished"
    with Wheelhouse(tmp_path / "dist").staging(_TASK) as working:
        (folder / "left").mkdir()
        Wheelhouse(tmp_path / "dist")
        assert list(folder.iterdir()) == [working]


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    text = """\
import os, sys
from pathlib import Path
from gpuwheel._files import held_folder
with held_folder(Path(sys.argv[1])):
    print("held", flush=True)
    os.kill(os.getpid(), 9)
"""
    assert run([sys.executable, "-c", text, tmp_path], env=dict(os.environ), check=False).stdout == "held\n"
    with held_folder(tmp_path, wait=False) as is_held:
        assert is_held
        with held_folder(tmp_path, wait=False) as again:
            assert not again
