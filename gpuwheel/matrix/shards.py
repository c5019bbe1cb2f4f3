"""`--shard i/n`: the cells of one CI job of several, by a rule on which all of them agree, on whatever machine.

Nothing but the cells and the files of costs that every job is given decides; a cache or a clock never does. Cells that
share work stay together where that costs no balance, since each job that has one of them does that work anew.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import cut, reading
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.matrix.tasks import Task

__all__ = ["Shard", "shards_of", "told_costs"]

_UNKNOWN, _UNKNOWN_SHARED = 1_000, 10_000
"""Milliseconds of a cell of which nothing is known, and of what cells share: compiling device code takes longest."""

_LONGEST = 30 * 24 * 3600
"""Seconds; what claims more is no record of a build."""

_SLACK = 1.05
"""How much longer the longest job may take for cells to stay together: about what two runs of one job differ by."""

_Groups = dict[tuple[str, ...], list["Task"]]


@dataclass(frozen=True)
class Shard:
    """One part of several."""

    index: int
    """From 1."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "2/3".

        Raises:
            ConfigError: it names no part.
        """
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        index, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= index <= count:
            msg = f"--shard names no part (found {cut(repr(text))}, expected for example 2/3: the second of three)"
            raise ConfigError(msg, hint="parts are counted from 1, and every job names the same number of them")
        return cls(index, count)

    def of(self, tasks: Sequence[Task], costs: Mapping[str, float]) -> tuple[Task, ...]:
        """Its cells, in the order of `tasks`; none, where there are fewer cells than parts."""
        return shards_of(tasks, self.count, costs)[self.index - 1]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def told_costs(paths: Iterable[Path]) -> dict[str, float]:
    """Identifier -> CPU seconds, from reports of earlier builds (`gpuwheel build --json`); of several, the largest.

    What a report does not say, or says without sense, counts as unknown. Yet a file that is no report at all is an
    error: jobs that guessed on would not agree with those that read it whole.

    Raises:
        ConfigError: a file is no report.
        OSError: it cannot be read.
    """
    costs: dict[str, float] = {}
    for path in paths:
        hint = "it is what gpuwheel build --json printed, the same file for every job"
        with reading(f"{path} is no report of a build", "a JSON document with cells", error=ConfigError, hint=hint):
            cells = json.loads(path.read_bytes())["cells"]
            told = [_told(cell) for cell in cells] if isinstance(cells, list) else None
        if told is None:
            msg = f"{path} is no report of a build (found no list of cells)"
            raise ConfigError(msg, hint=hint)
        for identifier, seconds in filter(None, told):
            costs[identifier] = max(seconds, costs.get(identifier, 0.0))
    return costs


def _told(cell: Any) -> tuple[str, float] | None:  # noqa: ANN401 (out of a file)
    if not isinstance(cell, dict) or not isinstance(cell.get("identifier"), str) or cell.get("state") != "built":
        return None
    seconds = cell.get("cpu_seconds")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 < seconds <= _LONGEST:
        return None
    return cell["identifier"], float(seconds)


def shards_of(tasks: Sequence[Task], count: int, costs: Mapping[str, float]) -> list[tuple[Task, ...]]:
    """All parts: each cell is in exactly one, and which one does not depend on the order of `tasks`.

    Groups of cells that share work are cut into pieces, and the longest piece goes to the part that is done first with
    it (LPT: Graham 1969, at most 4/3 of the best for pieces of one cell). Of ever smaller pieces the largest are taken
    whose longest part is within 5 % of the shortest that any of them gives.

    Args:
        tasks: all cells, of distinct identifiers.
        count: of parts.
        costs: CPU seconds by identifier, as far as they are known.
    """
    model = _Model(tasks, costs)
    ways = [_dealt(pieces, count, model) for pieces in _pieces(tasks, count, model)]
    lengths = [max(map(model.length, way)) for way in ways]
    chosen = next(way for way, length in zip(ways, lengths, strict=True) if length <= _SLACK * min(lengths))
    places = {task.identifier: index for index, part in enumerate(chosen) for task in part}
    return [tuple(task for task in tasks if places[task.identifier] == index) for index in range(count)]


class _Model:
    """What cells take alone, and what those that share work take once. Whole milliseconds: sums have no order."""

    def __init__(self, tasks: Sequence[Task], costs: Mapping[str, float]) -> None:
        known = {
            task.identifier: max(1, round(1000 * costs[task.identifier])) for task in tasks if task.identifier in costs
        }
        groups = _groups(tasks)
        told = {
            shares: [known[task.identifier] for task in group if task.identifier in known]
            for shares, group in groups.items()
        }
        # Of cells that share work one did it, the dearest, and the cheapest found all of it made.
        alone = {shares: min(values) for shares, values in told.items() if values}
        usual = median_low(sorted(alone.values())) if alone else _UNKNOWN
        self._own = {task.identifier: alone.get(shares, usual) for shares, group in groups.items() for task in group}
        for shares, group in groups.items():
            if not shares:
                self._own |= {task.identifier: known.get(task.identifier, usual) for task in group}
        self._shared = _shared_costs({shares: values for shares, values in told.items() if shares})

    def own(self, tasks: Iterable[Task]) -> int:
        """What only these cells need."""
        return sum(self._own[task.identifier] for task in tasks)

    def shared(self, names: Iterable[str]) -> int:
        """Work that is done once for all."""
        return sum(self._shared[name] for name in names)

    def length(self, tasks: Collection[Task]) -> int:
        """How long one machine takes for these cells, if nothing was made before."""
        return self.own(tasks) + self.shared({name for task in tasks for name in task.shares})


def _shared_costs(told: Mapping[tuple[str, ...], Sequence[int]]) -> dict[str, int]:
    """By name. What several groups share was done in the dearest of them, beside what is that group's alone."""
    if not any(told.values()):
        return dict.fromkeys((name for shares in told for name in shares), _UNKNOWN_SHARED)
    usual = median_low(sorted(max(values) - min(values) for values in told.values() if values))
    excess = {shares: max(values) - min(values) if values else usual for shares, values in told.items()}
    members = defaultdict[str, list[tuple[str, ...]]](list)
    for shares in told:
        for name in shares:
            members[name].append(shares)
    found: dict[str, int] = {}
    for name, groups in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        dearest = max(sorted(groups), key=lambda shares: excess[shares])
        others = [excess[shares] for shares in groups if shares != dearest]
        found[name] = max(0, excess[dearest] - max(others, default=0))
        excess[dearest] -= found[name]
    return found


def _groups(tasks: Sequence[Task]) -> _Groups:
    """Cells that need the same work, the groups and the cells in an order of their names alone."""
    groups: _Groups = defaultdict(list)
    for task in sorted(tasks, key=lambda task: task.identifier):
        groups[task.shares].append(task)
    return dict(sorted(groups.items()))


def _pieces(tasks: Sequence[Task], count: int, model: _Model) -> list[list[list[Task]]]:
    """Ways to cut the groups, from the largest pieces to single cells."""
    ways, size = [], math.ceil(model.length(tasks) / count)
    while True:
        pieces = [piece for group in _groups(tasks).values() for piece in _cut(group, size, model)]
        ways.append(pieces)
        if len(pieces) == len(tasks) or size <= 1:
            return ways
        size //= 2


def _cut(group: Sequence[Task], size: int, model: _Model) -> list[list[Task]]:
    """A group in pieces whose own work is at most `size`, as evenly as their number allows."""
    number = min(len(group), max(1, math.ceil(model.own(group) / size)))
    return [list(group[index * len(group) // number : (index + 1) * len(group) // number]) for index in range(number)]


def _dealt(pieces: Sequence[Sequence[Task]], count: int, model: _Model) -> list[list[Task]]:
    parts: list[list[Task]] = [[] for _ in range(count)]
    made: list[set[str]] = [set() for _ in range(count)]
    loads = [0] * count
    for piece in sorted(pieces, key=lambda piece: (-model.length(piece), piece[0].identifier)):
        names = set(piece[0].shares)
        after = [load + model.own(piece) + model.shared(names - done) for load, done in zip(loads, made, strict=True)]
        index = after.index(min(after))
        parts[index].extend(piece)
        made[index] |= names
        loads[index] = after[index]
    return parts
