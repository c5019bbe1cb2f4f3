"""What is noted beside compiled code holds only as long as every file, and every absence, is as it was."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gpuwheel._cache import Cache
from gpuwheel._cache.file_state import YOUNG, state_of
from gpuwheel.compile.reuse.facts import FORMAT, Facts, Places
from gpuwheel.compile.reuse.index import FileIndex

TEXT = "#define A 1\n"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def header(tmp_path: Path) -> Path:
    path = tmp_path / "project/a.h"
    path.parent.mkdir()
    path.write_text(TEXT, encoding="utf-8")
    return path


def _rewritten(path: Path) -> None:
    """The same size and the old time of modification."""
    times = path.stat()
    path.write_text(path.read_text(encoding="utf-8")[::-1], encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _grown_old() -> None:
    time.sleep(YOUNG / 1e9 + 0.1)


def test_the_index_sees_a_rewrite_of_the_same_size_and_time(cache: Cache, header: Path) -> None:
    _grown_old()
    first = FileIndex(cache, "one")
    digest = first.digest(str(header))
    first.save()
    assert FileIndex(cache, "one").digest(str(header)) == digest
    _rewritten(header)
    assert first.digest(str(header)) == digest, "within one look everything is as it was"
    first.forget()
    assert first.digest(str(header)) != digest
    assert FileIndex(cache, "one").digest(str(header)) != digest


def test_a_young_file_has_no_place_in_the_index(cache: Cache, header: Path) -> None:
    index = FileIndex(cache, "one")
    digest = index.digest(str(header))
    index.save()
    assert cache.read("libraries", "index-one") is None
    _grown_old()
    index = FileIndex(cache, "one")
    assert index.digest(str(header)) == digest
    index.save()
    assert cache.read("libraries", "index-one") is not None


def test_what_is_no_file_has_no_digest(cache: Cache, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    index = FileIndex(cache, "one")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing", Path(os.devnull)):
        assert index.digest(str(path)) is None
        assert state_of(str(path)) is None


def _facts(header: Path, index: FileIndex) -> Facts:
    digest = index.digest(str(header))
    assert digest is not None
    return Facts({str(header): digest}, frozenset({str(header.with_name("b.h"))}), None)


def test_facts_hold_until_a_file_changes_or_appears(cache: Cache, header: Path) -> None:
    facts = _facts(header, FileIndex(cache, "one"))

    def hold(root: str = "/project") -> bool:
        return Facts.of(facts.stored()).holds(Places({}), root, FileIndex(cache, "one"))

    assert hold()
    header.with_name("b.h").symlink_to("nowhere")
    assert not hold(), "a link to nothing is something that a compiler stumbles over"
    header.with_name("b.h").unlink()
    assert hold()
    _rewritten(header)
    assert not hold()
    header.unlink()
    assert not hold()


def test_facts_may_be_of_one_place(cache: Cache) -> None:
    index = FileIndex(cache, "one")
    assert Facts(root="/project").holds(Places({}), "/project", index)
    assert not Facts(root="/project").holds(Places({}), "/elsewhere", index)


def test_facts_may_be_of_one_time(cache: Cache) -> None:
    index = FileIndex(cache, "one")

    def hold(facts: Facts, epoch: str | None) -> bool:
        return Facts.of(facts.stored()).holds(Places({}), "/project", index, epoch)

    assert [hold(Facts(epoch="1"), epoch) for epoch in ("1", "2", None)] == [True, False, False]
    assert [hold(Facts(), epoch) for epoch in ("1", "2", None)] == [True, True, True]
    assert Facts.all_of([Facts(), Facts(epoch="1"), Facts()]).epoch == "1"


def test_facts_of_several_things_hold_together() -> None:
    both = Facts.all_of([Facts({"a": "1"}, frozenset({"x"}), "/project"), Facts({"b": "2"}, frozenset({"y"}))])
    assert both == Facts({"a": "1", "b": "2"}, frozenset({"x", "y"}), "/project")


def test_names_say_what_a_folder_is_and_not_where() -> None:
    places = Places.of({"/p": ".", "/p/inner": "inner", "/cuda": "cuda"})
    for path, name in {
        "/p/a.h": "<.>/a.h",
        "/p/inner/a.h": "<inner>/a.h",
        "/cuda": "<cuda>",
        "/cuda2/a": "/cuda2/a",
    }.items():
        assert places.named(path) == name
        assert places.real(name) == path
    moved = Places.of({"/q": ".", "/q/inner": "inner"})
    assert moved.real("<inner>/a.h") == "/q/inner/a.h"
    assert not Path(moved.real("<cuda>/a.h")).exists()
    assert places.masked("-I/p/inner -I/p") == "-Iinner -I."


def test_another_shape_of_facts_is_another_format() -> None:
    """Facts that an older gpuwheel wrote are in the cache: whoever changes these names raises the number."""
    assert (FORMAT, sorted(Facts().stored())) == (5, ["absent", "epoch", "read", "root", "sources"])
