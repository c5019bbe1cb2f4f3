"""What the sources of a project took when they were compiled last: for estimates, shards and forecasts.

It is a note in the cache, by the name of the project: small, no loss if it is gone, and never part of a key.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuwheel.model.jobs import SourceCost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel._cache import Cache

__all__ = ["RecordedCosts"]

_FORMAT = 1
_MOST = 5_000
"""Entries that are kept, the newest ones: about 100 bytes each."""
_MOST_BYTES = 4 << 20
_SINCE = 0.5
"""How much of a cost is what was measured now, the rest what was before: machines and moments differ."""


class RecordedCosts:
    """The recorded costs of one project.

    `source` is a path below the project, with slashes; `variant` says for what it was compiled: two architectures take
    about twice the time of one.
    """

    def __init__(self, cache: Cache | None, project: str) -> None:
        """Read what there is; without a cache there is nothing, and nothing is kept."""
        self._cache = cache
        self._name = f"costs-{re.sub(r'[^a-z0-9]+', '-', project.lower())[:100]}"
        self._costs = _read(cache.note(self._name)) if cache is not None else {}
        self._new: dict[tuple[str, str], SourceCost] = {}

    def cost(self, source: str, variant: str | None = None) -> SourceCost | None:
        """What `source` takes in this variant; else, in the largest of those that were seen.

        `None`: it was never compiled.
        """
        variants = self._costs.get(source, {})
        if variant is not None and variant in variants:
            return variants[variant]
        return max(variants.values(), key=lambda cost: cost.wall, default=None)

    def sources(self) -> Mapping[str, SourceCost]:
        """Every source that is known -> its cost in the largest variant."""
        return {source: cost for source in self._costs if (cost := self.cost(source)) is not None}

    def add(self, source: str, variant: str, cost: SourceCost) -> None:
        """Take what was measured just now; `save` keeps it."""
        self._new[source, variant] = cost
        variants = self._costs.setdefault(source, {})
        variants[variant] = _merged(variants.get(variant), cost)

    def save(self) -> None:
        """Keep what was added, beside what other processes have kept; nothing where the cache is read-only."""
        new, self._new = self._new, {}
        if self._cache is None or not new:
            return

        def merge(before: bytes | None) -> bytes:
            costs = _read(before)
            for (source, variant), cost in new.items():
                variants = costs.setdefault(source, {})
                variants[variant] = _merged(variants.get(variant), cost)
            return _written(costs)

        self._cache.merge_note(self._name, merge)


def _merged(before: SourceCost | None, now: SourceCost) -> SourceCost:
    if before is None:
        return now
    peaks = [peak for peak in (before.peak, now.peak) if peak is not None]
    # Memory never sinks at once: too little is a compiler that is killed, too much one that waits.
    least = (before.peak + now.peak) // 2 if before.peak is not None and now.peak is not None else 0
    return replace(
        now,
        wall=_SINCE * now.wall + (1 - _SINCE) * before.wall,
        cpu=_SINCE * now.cpu + (1 - _SINCE) * before.cpu,
        peak=max(least, now.peak or 0) or max(peaks, default=None),
    )


def _read(data: bytes | None) -> dict[str, dict[str, SourceCost]]:
    """What a note says; of a damaged one, nothing."""
    costs: dict[str, dict[str, SourceCost]] = {}
    if data is None or len(data) > _MOST_BYTES:
        return costs
    try:
        document = json.loads(data)
        for source, variant, cost in _entries(document):
            costs.setdefault(source, {})[variant] = cost
    except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
        return {}
    return costs


def _entries(document: Any) -> Iterator[tuple[str, str, SourceCost]]:  # noqa: ANN401 (what a file says)
    if document["format"] != _FORMAT:
        return
    for source, variant, wall, cpu, peak, seen in document["costs"]:
        yield (
            str(source),
            str(variant),
            SourceCost(max(0.0, float(wall)), max(0.0, float(cpu)), None if peak is None else int(peak), int(seen)),
        )


def _written(costs: Mapping[str, Mapping[str, SourceCost]]) -> bytes:
    every = [(source, variant, cost) for source, variants in costs.items() for variant, cost in variants.items()]
    newest = sorted(every, key=lambda one: one[2].seen, reverse=True)[:_MOST]
    rows = [
        [source, variant, round(cost.wall, 3), round(cost.cpu, 3), cost.peak, cost.seen]
        for source, variant, cost in sorted(newest, key=lambda one: one[:2])
    ]
    return json.dumps({"format": _FORMAT, "costs": rows}).encode()
