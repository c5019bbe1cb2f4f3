"""What earlier builds of a project left: seconds of its sources in the cache, and its wheels in the wheelhouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.matrix.journal import Journal
from gpuwheel.matrix.wheelhouse import journal_of
from gpuwheel.plan.views.forecast import BuiltBefore, Recorded

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel._cache import Cache

__all__ = ["recorded"]


def recorded(name: str, wheelhouse: Path, cache: Cache) -> Recorded:
    """Everything about the project `name` that is found, which may be nothing; nothing is written.

    Args:
        name: as `[project]` spells it.
        wheelhouse: where `gpuwheel build` puts wheels.
        cache: where costs of sources are noted.
    """
    costs = RecordedCosts(cache, name).sources()
    return Recorded(
        # A server of a launcher spends CPU time that nobody here sees.
        {source: cost.cpu or cost.wall for source, cost in costs.items()},
        {one.identifier: BuiltBefore(one.seconds, one.size) for one in Journal(journal_of(wheelhouse)).every()},
    )
