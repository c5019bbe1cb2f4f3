"""Where finished wheels go: what is the user's stays as it is, and two runs do not disturb each other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

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


def test_what_a_killed_run_left_goes_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / ".gpuwheel" / "unfinished"
    for name, age in (("old", 1.0), ("new", None)):
        (folder / name).mkdir(parents=True)
        if age is not None:
            os.utime(folder / name, (age, age))
    Wheelhouse(tmp_path / "dist")
    assert [path.name for path in folder.iterdir()] == ["new"]
