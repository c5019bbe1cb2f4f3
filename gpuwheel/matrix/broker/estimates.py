"""What a command will probably take: by what was recorded of it, of its like, or of none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gpuwheel.model.jobs import SourceCost

if TYPE_CHECKING:
    from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
    from gpuwheel.matrix.broker.asked_commands import AskedCommand

__all__ = ["Estimates"]

_MIB = 1 << 20
_LEAST = 128 * _MIB
_SERVERS = {"sccache", "buildcache", "distcc", "pump", "icecc", "gomacc"}
"""Launchers that have the work done by another process, on this machine or elsewhere."""
_HIT = 0.25
"""Of the recorded time: what a cache of compilers takes for what it has is far less."""


class Estimates:
    """Seconds and bytes of commands, better with each that ends."""

    def __init__(self, costs: RecordedCosts) -> None:
        """Begin with what earlier runs recorded."""
        self._costs = costs
        self._peaks: dict[tuple[str, bool], list[int]] = {}

    def of(self, command: AskedCommand) -> tuple[float, int]:
        """(seconds, bytes for each core)."""
        seconds, memory = command.unseen
        cost = self._costs.cost(command.source, command.variant)
        if cost is not None:
            seconds = cost.wall
        if cost is not None and cost.peak is not None:
            return seconds, max(_LEAST, cost.peak + cost.peak // 10 + 32 * _MIB)
        peaks = self._peaks.get(command.family, [])
        if peaks:
            # Between the mean and the largest: one that takes more is seen as it runs.
            memory = max(_LEAST, (sum(peaks) // len(peaks) + max(peaks)) // 2)
        return seconds, memory

    def measured(self, command: AskedCommand, wall: float, cpu: float, peak: int | None) -> None:
        """Take what one took that succeeded."""
        before = self._costs.cost(command.source, command.variant)
        if command.launcher and before is not None and wall < _HIT * before.wall:
            return
        if peak is not None:
            self._peaks.setdefault(command.family, []).append(peak)
        self._costs.add(command.source, command.variant, SourceCost(wall, cpu, peak, int(time.time())))

    def killed(self, command: AskedCommand, memory: int) -> None:
        """Take that `memory` was not enough."""
        before = self._costs.cost(command.source, command.variant)
        seconds = before.wall if before is not None else command.unseen[0]
        self._costs.add(command.source, command.variant, SourceCost(seconds, 0.0, memory * 3 // 2, int(time.time())))

    @staticmethod
    def is_made_elsewhere(command: AskedCommand) -> bool:
        """Whether the memory of the command itself says nothing of the compiler's."""
        return command.launcher in _SERVERS
