"""What is remembered of each source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.model.jobs import SourceCost

if TYPE_CHECKING:
    from pathlib import Path

COST = SourceCost(10.0, 9.0, 3 << 30, 1000)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_what_one_process_saved_another_reads(cache: Cache) -> None:
    costs = RecordedCosts(cache, "Fused.Ops")
    costs.add("csrc/a.cu", "cuda sm_80", COST)
    costs.save()
    later = RecordedCosts(cache, "fused-ops")
    assert later.cost("csrc/a.cu", "cuda sm_80") == COST
    assert later.cost("csrc/a.cu", "cuda sm_90") == COST  # what is nearest
    assert later.cost("csrc/b.cu") is None
    assert later.sources() == {"csrc/a.cu": COST}
    assert RecordedCosts(cache, "other").sources() == {}


def test_the_largest_variant_stands_for_a_source(cache: Cache) -> None:
    costs = RecordedCosts(cache, "it")
    costs.add("a.cu", "one", COST)
    costs.add("a.cu", "two", replace(COST, wall=20.0))
    assert costs.cost("a.cu") == replace(COST, wall=20.0)


def test_processes_that_save_at_once_lose_nothing(cache: Cache) -> None:
    first, second = RecordedCosts(cache, "it"), RecordedCosts(cache, "it")
    first.add("a.cu", "", COST)
    second.add("b.cu", "", COST)
    first.save()
    second.save()
    assert set(RecordedCosts(cache, "it").sources()) == {"a.cu", "b.cu"}


def test_memory_sinks_slowly_and_rises_at_once(cache: Cache) -> None:
    costs = RecordedCosts(cache, "it")
    for peak, expected in [(100, 100), (400, 400), (100, 250), (None, 250)]:
        costs.add("a.cu", "", replace(COST, peak=peak))
        found = costs.cost("a.cu")
        assert found is not None
        assert found.peak == expected


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "costs": [[1]]}', b"\xff" * 9])
def test_a_damaged_note_is_none(cache: Cache, text: bytes) -> None:
    cache.keep_note("costs-it", text)
    costs = RecordedCosts(cache, "it")
    assert costs.sources() == {}
    costs.add("a.cu", "", COST)
    costs.save()
    assert RecordedCosts(cache, "it").sources() == {"a.cu": COST}


def test_the_newest_stay_where_there_are_too_many(cache: Cache) -> None:
    costs = RecordedCosts(cache, "it")
    for number in range(6_000):
        costs.add(f"{number}.cu", "", replace(COST, seen=number))
    costs.save()
    kept = RecordedCosts(cache, "it").sources()
    assert len(kept) == 5_000
    assert "5999.cu" in kept
    assert "0.cu" not in kept


def test_without_a_cache_nothing_is_kept(tmp_path: Path) -> None:
    costs = RecordedCosts(None, "it")
    costs.add("a.cu", "", COST)
    costs.save()
    assert list(tmp_path.iterdir()) == []
