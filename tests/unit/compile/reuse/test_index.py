"""Digests of files by what `stat` says of them, and facts that hold or do not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gpuwheel._cache import Cache
from gpuwheel._cache.file_state import YOUNG, state_of
from gpuwheel.compile.reuse import index as module
from gpuwheel.compile.reuse.facts import Facts, Places
from gpuwheel.compile.reuse.index import FileIndex

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _index(tmp_path: Path) -> FileIndex:
    return FileIndex(Cache(tmp_path / "cache"), "test")


def _settled(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a file, and let the time go by after which its digest may be remembered."""
    path.write_text(text, encoding="utf-8")
    now = time.time_ns()
    monkeypatch.setattr(module.time, "time_ns", lambda: now + 2 * YOUNG)
    return str(path)


def test_what_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = _settled(tmp_path / "a", "one", monkeypatch)
    first = _index(tmp_path)
    digest = first.digest(name)
    first.save()
    monkeypatch.setattr(module, "_sha256", lambda path: f"{path} was read")
    assert _index(tmp_path).digest(name) == digest


def test_a_rewrite_of_the_same_size_and_time_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    name = _settled(path, "one", monkeypatch)
    before = path.stat()
    first = _index(tmp_path)
    digest = first.digest(name)
    first.save()
    path.write_text("two", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _index(tmp_path).digest(name) not in {digest, None}


def test_what_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one", encoding="utf-8")
    index = _index(tmp_path)
    index.digest(str(path))
    index.save()
    assert not list((tmp_path / "cache").rglob("index-*"))


def test_a_file_system_that_tells_whole_seconds_alone_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _settled(tmp_path / "a", "one", monkeypatch)
    monkeypatch.setattr(module, "state_of", lambda _: (3, 1, 1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    index = _index(tmp_path)
    assert index.digest(name) is not None
    index.save()
    assert not list((tmp_path / "cache").rglob("index-*"))


def test_a_damaged_index_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = _settled(tmp_path / "a", "one", monkeypatch)
    index = _index(tmp_path)
    digest = index.digest(name)
    index.save()
    (entry,) = (tmp_path / "cache").rglob("index-*")
    entry.write_bytes(entry.read_bytes().replace(digest.encode() if digest else b"", b"0" * 64))
    assert _index(tmp_path).digest(name) == digest


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    names = [_settled(tmp_path / str(number), "x" * number, monkeypatch) for number in range(5)]
    index = _index(tmp_path)
    assert all(map(index.digest, names))
    index.save()
    monkeypatch.setattr(module, "_sha256", lambda _: "read")
    assert [_index(tmp_path).digest(name) for name in names].count("read") == 2


def test_what_is_no_regular_file_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    index = _index(tmp_path)
    names = (tmp_path, tmp_path / "pipe", tmp_path / "missing", "/dev/zero")
    assert [index.digest(str(name)) for name in names] == [None] * 4
    assert state_of("/dev/zero") is None


def test_facts_hold_wherever_the_project_is(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "elsewhere" / "two"
    for root in (one, two):
        (root / "csrc").mkdir(parents=True)
        (root / "csrc" / "a.h").write_text("a", encoding="utf-8")
    places = Places.of({str(one): ".", str(one / "csrc"): "sources"})
    assert places.named(f"{one}/csrc/a.h") == "<sources>/a.h"
    assert places.named(f"{one}x/a.h") == f"{one}x/a.h"
    places = Places.of({str(one): "."})
    index = _index(tmp_path)
    digest = index.digest(f"{one}/csrc/a.h")
    facts = Facts({places.named(f"{one}/csrc/a.h"): digest or ""}, frozenset({places.named(f"{one}/csrc/b.h")}))
    there = Places.of({str(two): "."})
    assert Facts.of(facts.stored()).holds(there, str(two), index)
    assert not Facts(facts.read, facts.absent, root=str(one)).holds(there, str(two), index)
    (two / "csrc" / "b.h").touch()
    assert not facts.holds(there, str(two), index)
    (two / "csrc" / "b.h").unlink()
    (two / "csrc" / "a.h").write_text("b", encoding="utf-8")
    assert not facts.holds(there, str(two), _index(tmp_path))
    assert not facts.holds(Places({}), str(two), index)


def test_what_comments_say_counts_or_not_and_both_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = _settled(tmp_path / "a", "int a;  // one", monkeypatch)
    first = _index(tmp_path)
    whole, tokens = first.digest(name), first.digest(name, comments=False)
    first.save()
    for function in ("_sha256", "_sha256_emptied"):
        with monkeypatch.context() as patch:
            patch.setattr(module, function, lambda path: f"{path} was read")
            assert (_index(tmp_path).digest(name), _index(tmp_path).digest(name, comments=False)) == (whole, tokens)
    _settled(tmp_path / "a", "int a;  // two", monkeypatch)
    later = _index(tmp_path)
    assert later.digest(name) != whole
    assert later.digest(name, comments=False) == tokens
    places = Places({})
    assert Facts(sources={name: tokens or ""}).holds(places, "", later)
    assert not Facts(sources={name: whole or ""}).holds(places, "", later)
    assert Facts.of(Facts(sources={"a": "1"}).stored()) == Facts.all_of([Facts(), Facts(sources={"a": "1"})])
