"""A writer of an index that is killed, or whose disk is full: no page names what is not there, and the retry works."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from package_index import Log
from small_wheels import small_wheel

from gpuwheel.compatibility import load_tables
from gpuwheel.publish.pages import FolderSource, IndexRequest, Keep, write_index

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = load_tables()


def _write(folder: Path, index: Path, keep: Keep) -> None:
    write_index(IndexRequest(index=index, sources=[FolderSource(folder, index)], keep=keep), TABLES, Log())


def _in_a_child(work: Callable[[], None]) -> int:
    """The wait status of a process that does this."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads, which here do nothing that the child needs
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def _kill_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill this process before its `number`th renaming, which is how everything is published."""
    renamed, rename = [0], Path.replace

    def counted(path: Path, target: Path) -> Path:
        renamed[0] += 1
        if renamed[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", counted)


def _check_links(index: Path) -> None:
    """Everything that a page names is there."""
    for root in index.rglob("simple/index.json"):
        for project in json.loads(root.read_bytes())["projects"]:
            assert (root.parent / project["name"] / "index.html").is_file()
    for page in index.rglob("simple/*/index.json"):
        for file in json.loads(page.read_bytes())["files"]:
            path = page.parent / file["url"].replace("%2B", "+")
            assert path.is_file()
            assert "core-metadata" not in file or path.with_name(f"{path.name}.metadata").is_file()


def _tree(index: Path) -> dict[str, bytes]:
    files = (path for path in index.rglob("*") if path.is_file() and path.parent.name != ".gpuwheel")
    return {path.relative_to(index).as_posix(): path.read_bytes() for path in files}


def _prepared(folder: Path, keep: Keep) -> None:
    """A folder of wheels with an index, and then other wheels: what the next writer has to do."""
    dist = folder / "dist"
    dist.mkdir(parents=True)
    small_wheel(dist, version="1.0+cu12.9", cuda="12.9")
    small_wheel(dist, "other")
    _write(dist, folder / ("dist" if keep is Keep.STAY else "site"), keep)
    small_wheel(dist, version="1.0+cu13.0", cuda="13.0")
    small_wheel(dist, "third")
    if keep is Keep.COPY:
        (dist / "other-1.0-py3-none-any.whl").unlink()  # in its own folder, the page would name it until the next run


@pytest.mark.parametrize("keep", [Keep.STAY, Keep.COPY])
def test_killed_at_every_step(keep: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_of = "dist" if keep is Keep.STAY else "site"
    _prepared(tmp_path / "prepared", keep)
    shutil.copytree(tmp_path / "prepared", tmp_path / "whole")
    _write(tmp_path / "whole" / "dist", tmp_path / "whole" / index_of, keep)
    expected = _tree(tmp_path / "whole" / index_of)

    def die(folder: Path, number: int) -> None:
        _kill_at(number, monkeypatch)
        _write(folder / "dist", folder / index_of, keep)

    for number in range(1, 100):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "prepared", folder)
        if _in_a_child(partial(die, folder, number)) == 0:
            break
        _check_links(folder / index_of)
        _write(folder / "dist", folder / index_of, keep)
        _check_links(folder / index_of)
        assert _tree(folder / index_of) == expected
    assert number > 15


def test_pages_of_a_killed_writer_go_if_their_wheels_are_gone_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(number: int) -> None:
        _kill_at(number, monkeypatch)
        _write(tmp_path, tmp_path, Keep.STAY)

    for number in range(1, 12):
        small_wheel(tmp_path, "first")
        third = small_wheel(tmp_path, "third")
        _in_a_child(partial(die, number))
        third.unlink()
        _write(tmp_path, tmp_path, Keep.STAY)
        assert not (tmp_path / "simple" / "third").exists()
        assert not (tmp_path / "choose" / "third").exists()


def test_a_full_disk_leaves_the_pages_as_they_were(tmp_path: Path) -> None:
    for number in range(20):
        small_wheel(tmp_path, version=f"{number}.0")
    _write(tmp_path, tmp_path, Keep.STAY)
    before = {name: data for name, data in _tree(tmp_path).items() if "simple/" in name}
    small_wheel(tmp_path, version="99.0")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))  # as a disk with so little left
        with pytest.raises(OSError, match="File too large"):
            _write(tmp_path, tmp_path, Keep.STAY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {name: data for name, data in _tree(tmp_path).items() if "simple/" in name} == before
    _write(tmp_path, tmp_path, Keep.STAY)
    _check_links(tmp_path)
