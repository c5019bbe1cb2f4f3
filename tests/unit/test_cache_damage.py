"""What somebody did to the cache shows on use and is mended; what cannot be mended ends in an error of ours."""

from __future__ import annotations

import codecs
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from gpuwheel._cache import SEAL, Cache, check_programs, content_problem, index_problem, refusal
from gpuwheel.cli import main
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.errors import CacheError
from gpuwheel.toolchain.headers import headers_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


def _fill(folder: Path) -> None:
    (folder / "include").mkdir()
    (folder / "include/a.h").write_text("#define A 1\n", encoding="utf-8")
    (folder / "bin").mkdir()
    (folder / "bin/program").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "bin/program").chmod(0o755)
    (folder / "lib64").symlink_to("bin")


def _rewritten(path: Path) -> None:
    """The same size and the old time: only the time of change tells."""
    times = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _as(make: Callable[[Path], object], name: str = "") -> Callable[[Path], None]:
    """Something else in the place of a file, or of the whole folder."""

    def damage(tree: Path) -> None:
        path = tree / name if name else tree
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)

    return damage


DAMAGE: dict[str, Callable[[Path], object]] = {
    "emptied": lambda tree: (tree / "include/a.h").write_bytes(b""),
    "rewritten": lambda tree: _rewritten(tree / "include/a.h"),
    "deleted": lambda tree: (tree / "include/a.h").unlink(),
    "folder emptied": lambda tree: shutil.rmtree(tree / "include"),
    "header added": lambda tree: (tree / "include/b.h").touch(),
    "folder added": lambda tree: (tree / "include/sub").mkdir(),
    "pipe added": lambda tree: os.mkfifo(tree / "include/b.h"),
    "pipe": _as(os.mkfifo, "include/a.h"),
    "folder in place": _as(Path.mkdir, "include/a.h"),
    "link in place": _as(lambda path: path.symlink_to("/dev/zero"), "include/a.h"),
    "other link": _as(lambda path: path.symlink_to("include"), "lib64"),
    "no program": lambda tree: (tree / "bin/program").chmod(0o644),
    "no seal": lambda tree: (tree / SEAL).unlink(),
    "other seal": lambda tree: (tree / SEAL).write_bytes(b"0\n{}"),
    "seal is a folder": _as(Path.mkdir, SEAL),
    "all is a file": _as(Path.touch),
    "all is a pipe": _as(os.mkfifo),
    "all is a link to nothing": _as(lambda path: path.symlink_to("nowhere")),
    "nothing": _as(lambda _: None),
}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("check", [content_problem, index_problem])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_made_again(cache: Cache, damage: str, check: Callable[[Path], str | None]) -> None:
    said: list[str] = []
    tree = cache.publish_tree("sdk", "key", _fill, check=check)
    assert check(tree) is None
    DAMAGE[damage](tree)
    again = cache.publish_tree("sdk", "key", _fill, check=check, on_damage=said.append)
    assert again == tree
    assert content_problem(tree) is None
    assert (tree / "include/a.h").read_text(encoding="utf-8") == "#define A 1\n"
    assert os.access(tree / "lib64/program", os.X_OK)
    assert len(said) == (damage != "nothing")


def test_the_bytecode_of_python_is_no_damage(cache: Cache) -> None:
    tree = cache.publish_tree("sdk", "key", _fill)
    (tree / "include/__pycache__").mkdir()
    (tree / "include/__pycache__/a.pyc").touch()
    assert content_problem(tree) is None


_OPENED: list[str] | None = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _OPENED is not None and event == "open":
        _OPENED.append(str(arguments[0]))


sys.addaudithook(_hear)


def _files_read(look: Callable[[], object]) -> set[str]:
    global _OPENED  # noqa: PLW0603 (an audit hook cannot be removed)
    _OPENED = []
    look()
    read, _OPENED = {Path(name).name for name in _OPENED}, None
    return read


def test_a_large_folder_is_read_once_and_then_only_looked_at(cache: Cache) -> None:
    tree = cache.publish_tree("sdk", "key", _fill)
    files = {"a.h", "program"}
    assert files <= _files_read(lambda: index_problem(tree)), "nobody knows whether a young file changes once more"
    time.sleep(2.1)
    assert files <= _files_read(lambda: index_problem(tree))
    assert not files & _files_read(lambda: index_problem(tree))
    (tree / "include/a.h").touch()
    assert files & _files_read(lambda: index_problem(tree)) == {"a.h"}
    assert files <= _files_read(lambda: content_problem(tree))
    _rewritten(tree / "bin/program")
    assert index_problem(tree) == "bin/program is not what was stored"


def test_a_copy_of_a_cache_is_whole(cache: Cache, tmp_path: Path) -> None:
    tree = cache.publish_tree("sdk", "key", _fill)
    shutil.copytree(tree, tmp_path / "copy", symlinks=True)
    assert index_problem(tmp_path / "copy") is None


def _mend(root: Path, ready: Any, log: Path) -> None:  # noqa: ANN401 (a barrier between processes)
    def fill(folder: Path) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write("filled\n")
        _fill(folder)

    cache = Cache(root)
    ready.wait()
    for _ in range(20):
        tree = cache.publish_tree("sdk", "key", fill)
        if content_problem(tree) is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write("taken away\n")


def test_processes_that_meet_one_damaged_folder_mend_it_once(cache: Cache, tmp_path: Path) -> None:
    tree = cache.publish_tree("sdk", "key", _fill)
    (tree / "include/a.h").write_bytes(b"")
    context, log = multiprocessing.get_context("spawn"), tmp_path / "log"
    ready = context.Barrier(4)
    processes = [context.Process(target=_mend, args=(cache.root, ready, log)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text(encoding="utf-8") == "filled\n"


def test_what_another_process_mended_meanwhile_is_not_deleted(cache: Cache) -> None:
    tree = cache.publish_tree("sdk", "key", _fill)
    (tree / "include/a.h").write_bytes(b"")
    (entry,) = cache.entries()
    assert content_problem(entry.path) is not None
    cache.publish_tree("sdk", "key", _fill)
    cache.discard(entry, only_if=content_problem)
    assert content_problem(tree) is None


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path.name)]
)
def test_an_image_that_is_no_file_is_none_and_is_replaced(cache: Cache, make: Callable[[Path], None]) -> None:
    store, stored = ContentStore(cache, "images"), Stored({"registers": 8}, b"cubin")
    store.save("key", stored)
    path = cache.root / "v1/images/key"
    path.unlink()
    make(path)
    assert store.load("key") is None
    store.save("key", stored)
    assert store.load("key") == stored
    assert path.is_file()
    assert not path.is_symlink()


def _verify(root: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["cache", "verify", *words], env={"GPUWHEEL_CACHE_DIR": str(root)})
    return result.exit_code, result.stdout


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "nothing"])
@pytest.mark.parametrize("kind", ["templates", "toolchains"])
def test_verify_sees_and_deletes_what_is_damaged(cache: Cache, damage: str, kind: Any) -> None:  # noqa: ANN401
    tree = cache.publish_tree(kind, "key", _fill)
    DAMAGE[damage](tree)
    assert _verify(cache.root)[0] == CacheError.exit_code
    assert _verify(cache.root, "--fix")[0] == 0
    assert not os.path.lexists(tree)


def test_headers_are_held_to_the_digest_that_names_them(cache: Cache) -> None:
    tree = cache.publish_tree("sdk", "a" * 64, _fill)
    assert content_problem(tree) is None
    assert (headers_problem(tree) or "").startswith("its headers have the digest")
    assert _verify(cache.root)[0] == CacheError.exit_code


@pytest.mark.parametrize("name", ["images/key", "libraries/key", "sdk/key", "builds/key", "builds/key.lock"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: (path.mkdir(), (path / "file").touch())])
def test_verify_sees_other_things_than_files_and_folders(cache: Cache, name: str, make: Callable[[Path], None]) -> None:
    path = cache.root / "v1" / name
    path.parent.mkdir(parents=True)
    make(path)
    whole = name == "builds/key" and path.is_dir()
    assert _verify(cache.root)[0] == (0 if whole else CacheError.exit_code)
    assert _verify(cache.root, "--fix")[0] == 0
    assert whole or not os.path.lexists(path)


def test_a_lock_that_is_a_folder_is_named_and_the_hint_mends_it(cache: Cache) -> None:
    lock = cache.root / "v1/tmp/sdk-key.lock"
    lock.mkdir(parents=True)
    with pytest.raises(CacheError, match=r"has a folder in the place of a file .*sdk-key\.lock") as caught:
        cache.publish_tree("sdk", "key", _fill)
    assert caught.value.hint == "gpuwheel cache verify --fix"
    assert _verify(cache.root)[0] == CacheError.exit_code
    assert _verify(cache.root, "--fix")[0] == 0
    cache.publish_tree("sdk", "key", _fill)


@pytest.mark.parametrize("name", ["tmp", "images", "builds"])
def test_a_file_in_the_place_of_a_folder_is_mended_too(cache: Cache, name: str) -> None:
    (cache.root / "v1").mkdir(parents=True)
    (cache.root / "v1" / name).touch()
    assert _verify(cache.root, "--fix")[0] == 0
    ContentStore(cache, "images").save("key", Stored({}, b""))
    with cache.workspace("/project"):
        pass


def test_a_folder_that_vanishes_during_a_build_is_named(cache: Cache) -> None:
    def build(*, fails: bool) -> None:
        with cache.workspace("/project", keep=False) as work, cache.guard():
            shutil.rmtree(cache.root)
            if fails:
                (work / "file").write_text("", encoding="utf-8")

    for fails in (True, False):
        cache.publish_tree("sdk", "key", _fill)
        with pytest.raises(CacheError, match="was changed while a build was using it") as caught:
            build(fails=fails)
        assert (caught.value.hint or "").startswith("build again")


def test_nothing_is_kept_that_was_made_with_a_damaged_folder(cache: Cache) -> None:
    tree = cache.publish_tree("sdk", "key", _fill)
    store = ContentStore(cache, "images")
    (tree / "include/a.h").write_bytes(b"")
    store.save_soon("key", Stored({}, b""))
    with pytest.raises(CacheError, match=r"a\.h is not what was stored"):
        store.flush()
    assert store.load("key") is None


def test_another_failure_of_a_build_stays_what_it_is(cache: Cache) -> None:
    cache.publish_tree("sdk", "key", _fill)
    with pytest.raises(KeyError), cache.guard():
        raise KeyError


# --- Who may not write ------------------------------------------------------------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may look into, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _as_nobody(work: Callable[[], str]) -> str:
    """What `work` returns in a process of an account without rights."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        for encoding in ("ascii", "latin-1"):  # what Python loads late, it finds in folders of root's alone
            codecs.lookup(encoding)
        os.setuid(NOBODY)
        sender.send(work())

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    sender.close()
    try:
        text: str = receiver.recv()
    finally:
        process.join()
    return text


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


@needs_root
def test_a_warm_cache_serves_who_may_only_read_it(open_folder: Path) -> None:
    cache = Cache(open_folder / "cache")
    tree = cache.publish_tree("sdk", "key", _fill)
    store = ContentStore(cache, "images")
    store.save("key", Stored({}, b"cubin"))
    (cache.root / "v1/tmp").chmod(0o755)

    def work() -> str:
        mine = Cache(cache.root)
        assert mine.publish_tree("sdk", "key", _fill, check=index_problem) == tree
        assert ContentStore(mine, "images").load("key") == Stored({}, b"cubin")
        with mine.scratch() as one, mine.workspace("/project", keep=False) as two:
            (one / "file").touch()
            (two / "file").touch()
        try:
            ContentStore(mine, "images").save("other", Stored({}, b""))
        except CacheError as error:
            return error.render()
        return "written"

    assert "is not writable" in _as_nobody(work)


@needs_root
@pytest.mark.parametrize("home", ["/nonexistent", "/", "", None])
def test_an_account_without_a_home_gets_an_error_in_the_words_of_doctor(
    home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("GPUWHEEL_CACHE_DIR", raising=False)
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)

    def work() -> str:
        cache = Cache.from_environment(os.environ)
        expected = refusal(cache.root)
        said = []
        for attempt in (
            lambda: cache.publish_bytes("images", "key", b""),
            lambda: cache.publish_tree("sdk", "key", _fill),
            lambda: cache.workspace("/project").__enter__(),
        ):
            try:
                attempt()
            except CacheError as error:  # noqa: PERF203 (three words to compare)
                said.append(error.render())
        return "\n".join({*said, expected.render() if expected else "fine"} if len(said) == 3 else said)

    said = _as_nobody(work)
    place = f"{home.rstrip('/')}/.cache/gpuwheel" if home else ""
    assert f"error: the cache folder {place}" in said
    assert "is not writable (Permission denied)" in said
    assert "hint: set GPUWHEEL_CACHE_DIR to a writable folder" in said
    assert said.count("error:") == 1, "doctor and a build say the same"
    assert "fine" not in said


@pytest.mark.skipif(not os.statvfs("/proc").f_flag & os.ST_NOEXEC, reason="/proc may start programs here")
def test_a_file_system_that_starts_no_programs_is_named() -> None:
    with pytest.raises(CacheError, match=r"starts no programs \(mounted noexec; nvcc runs there\)"):
        check_programs(Path("/proc/cache"), "nvcc")


# --- Folders to work in -----------------------------------------------------------------------------------------------


def test_the_path_of_a_workspace_depends_on_its_name_alone(cache: Cache) -> None:
    def path(name: str, *, keep: bool) -> Path:
        with cache.workspace(name, keep=keep) as folder:
            assert list(folder.iterdir()) == [] or keep
            (folder / "file").touch()
        return folder

    for keep in (True, False):
        one = path("one", keep=keep)
        assert path("one", keep=keep) == one
        assert path("two", keep=keep) != one
        assert (one / "file").exists() is keep


def test_two_at_once_do_not_share_a_workspace(cache: Cache) -> None:
    with cache.workspace("one", keep=False) as first:
        (first / "file").touch()
        with cache.workspace("one", keep=False) as second:
            assert second != first
            assert list(second.iterdir()) == []
        assert (first / "file").exists()


def _hold(root: Path, held: Path) -> None:
    with Cache(root).workspace("one") as folder:
        held.touch()
        time.sleep(1.5)
        (folder / "finished").touch()


def test_a_workspace_that_stays_is_waited_for(cache: Cache, tmp_path: Path) -> None:
    held, told = tmp_path / "held", list[str]()
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(cache.root, held))
    process.start()
    while not held.exists():
        time.sleep(0.02)
    with cache.workspace("one", on_wait=lambda: told.append("waiting")) as folder:
        assert (folder / "finished").exists()
    process.join()
    assert told == ["waiting"]
