"""`gpuwheel._cache`: what is published is whole, shared and safe."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import SEAL, Cache
from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path


def _write(text: str, folder: Path) -> None:
    (folder / "file").write_text(text, encoding="utf-8")


def _fill_slowly(root: Path, log: Path) -> None:
    def fill(folder: Path) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write("filled\n")
        time.sleep(0.3)
        _write("once", folder)

    Cache(root).publish_tree("sdk", "key", fill)


def _fill_and_hang(root: Path, started: Path) -> None:
    def fill(folder: Path) -> None:
        _write("half", folder)
        started.touch()
        time.sleep(60)

    Cache(root).publish_tree("sdk", "key", fill)


def _publish_beyond_the_limit(root: Path, outcome: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        Cache(root).publish_bytes("images", "key", bytes(5000))
    except CacheError as error:
        outcome.write_text(error.render(), encoding="utf-8")


def test_the_folder_comes_from_the_environment(tmp_path: Path) -> None:
    assert Cache.from_environment({"GPUWHEEL_CACHE_DIR": str(tmp_path)}).root == tmp_path
    assert Cache.from_environment({}).root.name == "gpuwheel"


def test_bytes_come_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new" / "cache")
    assert cache.lookup("images", "key") is None
    path = cache.publish_bytes("images", "key", b"one")
    assert path == cache.lookup("images", "key")
    cache.publish_bytes("images", "key", b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in (tmp_path / "new/cache/v1").iterdir()].count("tmp") == 1
    assert list((tmp_path / "new/cache/v1/tmp").iterdir()) == []


def test_published_files_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        path = Cache(tmp_path).publish_bytes("images", "key", b"")
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_tree_is_filled_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.publish_tree("sdk", "key", lambda folder: _write("first", folder))
    second = cache.publish_tree("sdk", "key", lambda folder: _write("second", folder))
    assert first == second == cache.lookup("sdk", "key")
    assert (first / "file").read_text(encoding="utf-8") == "first"


def test_a_failed_fill_publishes_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail(folder: Path) -> None:
        _write("half", folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.publish_tree("sdk", "key", fail)
    assert cache.lookup("sdk", "key") is None
    assert not [entry for entry in (tmp_path / "v1/tmp").iterdir() if entry.is_dir()]
    assert (cache.publish_tree("sdk", "key", lambda folder: _write("whole", folder)) / "file").exists()


def test_parallel_processes_fill_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fill_slowly, args=(tmp_path / "cache", log)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text(encoding="utf-8") == "filled\n"


def test_a_killed_process_leaves_no_lock_and_no_entry(tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(target=_fill_and_hang, args=(tmp_path, started))
    process.start()
    while not started.exists():
        time.sleep(0.02)
    process.kill()
    process.join()
    cache = Cache(tmp_path)
    assert cache.lookup("sdk", "key") is None
    path = cache.publish_tree("sdk", "key", lambda folder: (folder / "other").touch())
    assert {entry.name for entry in path.iterdir()} == {"other", SEAL}


def test_waiting_is_told(tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(target=_fill_and_hang, args=(tmp_path, started))
    process.start()
    while not started.exists():
        time.sleep(0.02)
    told: list[str] = []

    def on_wait() -> None:
        told.append("waiting")
        process.kill()

    Cache(tmp_path).publish_tree("sdk", "key", lambda folder: _write("mine", folder), on_wait=on_wait)
    process.join()
    assert told == ["waiting"]


def test_a_damaged_entry_can_be_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.publish_tree("sdk", "key", lambda folder: _write("text", folder))
    cache.remove("sdk", "key")
    cache.remove("sdk", "key")
    assert cache.lookup("sdk", "key") is None


def test_scratch_is_gone_afterwards(tmp_path: Path) -> None:
    with Cache(tmp_path).scratch() as folder:
        _write("text", folder)
    assert not folder.exists()


@pytest.mark.parametrize("key", ["", "..", "a/b", ".hidden"])
def test_keys_cannot_leave_the_cache(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="cache key"):
        Cache(tmp_path).lookup("images", key)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    outcome = tmp_path / "outcome"
    process = multiprocessing.get_context("spawn").Process(target=_publish_beyond_the_limit, args=(tmp_path, outcome))
    process.start()
    process.join()
    text = outcome.read_text(encoding="utf-8")
    assert str(tmp_path) in text
    assert "GPUWHEEL_CACHE_DIR" in text
    assert Cache(tmp_path).lookup("images", "key") is None
    assert list((tmp_path / "v1/tmp").iterdir()) == []


def test_a_folder_that_a_build_is_in_is_not_discarded(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.workspace("/project") as folder:
        (entry,) = cache.entries()
        assert not cache.discard(entry)
        assert folder.is_dir()
    assert cache.discard(entry)
    assert not folder.exists()


def test_what_a_killed_process_left_in_a_folder_is_not_found_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.workspace("/project", keep=False) as folder:
        pass
    folder.mkdir()
    (folder / "left").touch()
    with cache.workspace("/project", keep=False) as again:
        assert (again, list(again.iterdir())) == (folder, [])


def test_a_refused_write_is_the_caches_and_another_refusal_is_not(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    def stumble(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "source" / folder.name))

    with pytest.raises(CacheError, match="is not writable"):
        Cache(tmp_path / "cache").publish_tree("sdk", "key", refuse)
    with pytest.raises(PermissionError):
        Cache(tmp_path / "cache").publish_tree("sdk", "key", stumble)


def test_a_file_in_place_of_the_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CacheError, match="is not a folder"):
            Cache(root).publish_bytes("images", "key", b"")
        assert Cache(root).lookup("images", "key") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_still_serves(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.publish_bytes("images", "key", b"data")
    for folder in (path.parent, tmp_path / "v1/tmp"):
        folder.chmod(0o555)
    assert cache.lookup("images", "key") == path
    with pytest.raises(CacheError, match="not writable"):
        cache.publish_bytes("images", "other", b"data")
