"""Compiled content in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel.compile.reuse.store import ContentStore, Stored, content_key

if TYPE_CHECKING:
    from pathlib import Path

STORED = Stored({"kernels": [], "messages": ["line\nline"]}, b"\x7fELF\n\0\xff\n")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = ContentStore(Cache(tmp_path), "images")
    assert store.load("key") is None
    store.save("key", STORED)
    assert store.load("key") == STORED


def test_damage_anywhere_is_no_entry_and_is_mended_by_saving(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    store = ContentStore(cache, "images")
    store.save("key", STORED)
    path = cache.lookup("images", "key")
    assert path is not None
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        assert store.load("key") is None
        path.write_bytes(good[:position])
        assert store.load("key") is None
    store.save("key", STORED)
    assert store.load("key") == STORED


@pytest.mark.parametrize("other", [{"a": 1, "b": [2, 3]}, {"a": "1", "b": [2]}, {"b": [2]}])
def test_keys_differ_with_contents(other: dict[str, object]) -> None:
    assert content_key({"b": [2], "a": 1}) == content_key({"a": 1, "b": [2]})
    assert content_key(other) != content_key({"a": 1, "b": [2]})
