"""`gpuwheel cache` on a cache of a few entries, one of them damaged, some of them old."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.model.pins import contents_digest

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = {"a/b.h": b"// b\n", "c.h": b"// c\n"}
LIBRARY = b"library"


def _headers(folder: Path) -> None:
    for name, data in HEADERS.items():
        (folder / "include" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "include" / name).write_bytes(data)


def _toolchain(folder: Path) -> None:
    (folder / "nvidia").mkdir()
    (folder / "nvidia/lib.so").write_bytes(LIBRARY)
    (folder / "nvidia-1.dist-info").mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(LIBRARY).digest()).decode().rstrip("=")
    record = (
        f"nvidia/lib.so,sha256={digest},{len(LIBRARY)}\nnvidia/left_out.a,sha256=x,1\nnvidia-1.dist-info/RECORD,,\n"
    )
    (folder / "nvidia-1.dist-info/RECORD").write_text(record, encoding="utf-8")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    cache = Cache(tmp_path / "cache")
    ContentStore(cache, "images").save("image", Stored({"registers": 8}, bytes(3000)))
    cache.publish_tree("sdk", contents_digest(HEADERS), _headers)
    cache.publish_tree("toolchains", "d" * 64, _toolchain)
    cache.publish_tree("toolchains", "fake-gpu-1", lambda folder: (folder / "file").touch())
    with cache.workspace("/project"):
        pass
    return cache


def _age(cache: Cache, kind: str, days: float) -> None:
    for entry in cache.entries():
        if entry.kind == kind:
            used = time.time() - days * 86400
            os.utime(entry.path, (used, used))


def _run(*words: str) -> Result:
    return CliRunner().invoke(main, ["cache", *words])


def _document(*words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_run(*words, "--json").stdout)
    jsonschema.validate(document, json.loads(resource("data", "cache.schema.json").read_text(encoding="utf-8")))
    return document


def test_its_folder(cache: Cache) -> None:
    assert _run("dir").stdout == f"{cache.root}\n"


def test_the_list_sums_up_each_kind(cache: Cache) -> None:
    lines = _run("list").stdout.splitlines()
    assert [line.split()[2] for line in lines[:-1]] == ["builds", "images", "sdk", "toolchains"]
    assert "    2 entries" in lines[3]
    assert lines[-1].endswith(f"in {cache.root}")


def test_the_list_of_every_entry_begins_with_the_longest_unused(cache: Cache) -> None:
    _age(cache, "sdk", 3)
    assert f"sdk/{contents_digest(HEADERS)}" in _run("list", "--all").stdout.splitlines()[0]


def test_the_list_for_machines(cache: Cache) -> None:
    document = _document("list")
    assert document["root"] == str(cache.root)
    sizes = {row["key"]: row["bytes"] for row in document["entries"]}
    assert sizes["image"] > 3000
    assert len(sizes) == 5


def test_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "nowhere"))
    for words in (("list",), ("verify",), ("prune",)):
        assert _run(*words).exit_code == 0
    assert _document("list")["entries"] == []


def test_a_whole_cache(cache: Cache) -> None:
    states = {row["key"]: row["state"] for row in _document("verify")["entries"]}
    (build,) = (entry.key for entry in cache.entries() if entry.kind == "builds")
    assert states.pop(build) == "unchecked"
    assert set(states.values()) == {"whole"}


@pytest.mark.parametrize("kind", ["images", "sdk", "toolchains"])
def test_what_is_damaged_is_named_and_can_be_deleted(cache: Cache, kind: str) -> None:
    entry = next(entry for entry in cache.entries() if entry.kind == kind)
    file = {"images": entry.path, "sdk": entry.path / "include/c.h", "toolchains": entry.path / "nvidia/lib.so"}[kind]
    file.write_bytes(b"damaged")

    result = _run("verify")
    assert result.exit_code == 7
    assert str(entry.path) in result.stdout
    assert "fix: gpuwheel cache verify --fix" in result.stdout
    assert _document("verify")["deleted"] == 0
    assert entry.path.exists()

    assert _run("verify", "--fix").exit_code == 0
    assert not entry.path.exists()
    assert _run("verify").exit_code == 0


def test_old_entries_are_pruned(cache: Cache) -> None:
    _age(cache, "sdk", 40)
    _age(cache, "images", 20)
    assert "would delete 1 entries" in _run("prune", "--older-than", "30", "--dry-run").stdout
    assert len(list(cache.entries())) == 5
    document = _document("prune", "--older-than", "30")
    assert [row["kind"] for row in document["entries"]] == ["sdk"]
    assert {entry.kind for entry in cache.entries()} == {"builds", "images", "toolchains"}


def test_a_size_is_kept_by_deleting_the_longest_unused(cache: Cache) -> None:
    _age(cache, "images", 20)
    _age(cache, "toolchains", 2)
    document = _document("prune", "--max-size", "1 kB")
    assert [row["kind"] for row in document["entries"]] == ["images"]
    assert _run("prune", "--max-size", "much").exit_code == 2


@pytest.mark.usefixtures("cache")
def test_what_was_just_used_stays() -> None:
    result = _run("prune", "--older-than", "0")
    assert "deleted 0 entries" in result.stdout
    assert "kept 5 that a build may be using" in result.stdout


def test_while_a_build_runs_what_was_used_today_stays(cache: Cache) -> None:
    for kind, days in (("sdk", 0.5), ("images", 3), ("builds", 3)):
        _age(cache, kind, days)
    with cache.workspace("/project"):
        kinds = {row["kind"] for row in _document("prune", "--older-than", "0.1")["entries"]}
        assert kinds == {"images"}
    assert {row["kind"] for row in _document("prune", "--older-than", "0.1")["entries"]} == {"sdk"}


def test_a_use_counts(cache: Cache) -> None:
    _age(cache, "images", 20)
    assert cache.lookup("images", "image") is not None
    assert _document("prune", "--older-than", "10")["entries"] == []


def test_what_killed_builds_left_is_pruned(cache: Cache) -> None:
    old = time.time() - 7200
    temporary = cache.root / "v1/tmp"
    left = [temporary / "scratch-left", temporary / "toolchains-key.downloads"]
    waited_for = temporary / "toolchains-key.lock"
    waited_for.touch()
    with cache.scratch() as used:
        for folder in left:
            folder.mkdir()
            (folder / "file").write_bytes(bytes(100))
        for folder in (*left, used, waited_for):
            os.utime(folder, (old, old))
        document = _document("prune")
        assert used.exists()
    assert document["leftovers"] == 2
    assert document["bytes"] == 200
    assert not any(folder.exists() for folder in left)
    assert waited_for.exists()
