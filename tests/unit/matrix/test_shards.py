"""`--shard`: all parts together are all cells, none twice, whoever asks; and none is much longer than it has to be."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel.errors import ConfigError
from gpuwheel.matrix.shards import Shard, shards_of, told_costs
from gpuwheel.matrix.tasks import Task

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

DEVICES, TORCHES = ["device a", "device b"], ["torch a", "torch b", "torch c"]
SHARES = [(), *[(device,) for device in DEVICES], *[(device, torch) for device in DEVICES for torch in TORCHES]]

counts = st.integers(1, 12)
some_costs = st.floats(0.01, 10_000)


def _task(name: str, shares: Sequence[str] = ()) -> Task:
    return Task(name, None, {"gpuwheel.only": name}, tuple(shares), f"key of {name}")


@st.composite
def matrices(draw: st.DrawFn) -> tuple[list[Task], dict[str, float]]:
    shares = draw(st.lists(st.sampled_from(SHARES), max_size=30))
    tasks = [_task(f"cell-{index}", each) for index, each in enumerate(shares)]
    known = draw(st.lists(st.sampled_from(tasks), unique_by=lambda task: task.identifier)) if tasks else []
    costs = {task.identifier: draw(some_costs) for task in known}
    return tasks, costs | draw(st.dictionaries(st.sampled_from(["cell of old", "x"]), some_costs))


def _names(parts: Sequence[Sequence[Task]]) -> list[set[str]]:
    return [{task.identifier for task in part} for part in parts]


@given(matrices(), counts)
def test_all_parts_are_all_cells_and_none_twice(matrix: tuple[list[Task], dict[str, float]], count: int) -> None:
    tasks, costs = matrix
    parts = [Shard(index, count).of(tasks, costs) for index in range(1, count + 1)]
    assert sorted(task.identifier for part in parts for task in part) == sorted(task.identifier for task in tasks)
    # Each in the order of the plan, in which cells may begin.
    assert all(list(part) == sorted(part, key=tasks.index) for part in parts)


@given(matrices(), counts, st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_decides_nothing(
    matrix: tuple[list[Task], dict[str, float]], count: int, order: random.Random
) -> None:
    tasks, costs = matrix
    others, other_costs = list(tasks), list(costs.items())
    order.shuffle(others)
    order.shuffle(other_costs)
    assert _names(shards_of(tasks, count, costs)) == _names(shards_of(others, count, dict(other_costs)))


@given(st.lists(some_costs, min_size=1, max_size=40), counts)
def test_where_nothing_is_shared_no_part_is_longer_than_the_longest_first_gives(
    seconds: list[float], count: int
) -> None:
    tasks = [_task(f"cell-{index:02}") for index in range(len(seconds))]
    costs = dict(zip([task.identifier for task in tasks], seconds, strict=True))
    loads = [0.0] * count
    for one in sorted(seconds, reverse=True):
        loads[loads.index(min(loads))] += one
    longest = max(sum(costs[task.identifier] for task in part) for part in shards_of(tasks, count, costs))
    # 5 % for cells that stay together; costs are counted in milliseconds.
    assert longest <= 1.05 * max(loads) + 0.001 * len(tasks)


@given(st.integers(1, 6), st.integers(1, 8), counts)
def test_without_costs_cells_are_counted(groups: int, size: int, count: int) -> None:
    tasks = [_task(f"{group}-{index}", [f"device {group}"]) for group in range(groups) for index in range(size)]
    parts = shards_of(tasks, count, {})
    if groups % count == 0:
        assert {len(part) for part in parts} == {groups // count * size}
        assert all(len({task.shares for task in part}) == groups // count for part in parts)
    # Nobody does all of it where it could be shared.
    assert max(map(len, parts)) < len(tasks) or count == 1 or groups == 1


def test_what_shares_work_stays_together() -> None:
    tasks = [_task(f"cp{python}-{torch}", ["device", torch]) for torch in TORCHES for python in (310, 311, 312, 313)]
    assert [{task.shares for task in part} for part in shards_of(tasks, 3, {})] == [
        {("device", torch)} for torch in TORCHES
    ]
    # As an earlier build had it: the first did what all share, and the first of each torch what that torch needs.
    costs = {task.identifier: 10.0 for task in tasks}
    costs |= {"cp310-torch a": 500.0, "cp310-torch b": 60.0, "cp310-torch c": 110.0}
    assert [sorted({task.shares[1] for task in part}) for part in shards_of(tasks, 2, costs)] == [
        ["torch a", "torch b"],
        ["torch c"],
    ]


def test_of_one_group_every_job_gets_some_where_its_cells_are_long() -> None:
    tasks = [_task(f"cell-{index}", ["device"]) for index in range(8)]
    costs = {task.identifier: 100.0 for task in tasks} | {"cell-0": 130.0}
    assert [len(part) for part in shards_of(tasks, 4, costs)] == [2, 2, 2, 2]


def test_there_may_be_more_parts_than_cells() -> None:
    parts = shards_of([_task("a"), _task("b")], 5, {})
    assert sorted(map(len, parts)) == [0, 0, 0, 1, 1]
    assert shards_of([], 3, {}) == [(), (), ()]


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "a/b", "1", "", "1/", "/3", "-1/3", "1/0", "1/3/3", "1.5/3", "1/3 ", "٣/٣", "1/" + "9" * 99]
)
def test_a_part_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Shard.parse(text)
    assert caught.value.hint


def test_a_part_is_read() -> None:
    assert (Shard.parse("2/3"), str(Shard.parse("12/12"))) == (Shard(2, 3), "12/12")


def _cell(**other: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    return {"identifier": "a", "state": "built", "cpu_seconds": 4.5, **other}


@pytest.mark.parametrize(
    "cell",
    [
        _cell(state="kept"),
        _cell(state="failed"),
        _cell(cpu_seconds=0),
        _cell(cpu_seconds=-1),
        _cell(cpu_seconds="4"),
        _cell(cpu_seconds=None),
        _cell(cpu_seconds=True),
        _cell(cpu_seconds=math.nan),
        _cell(cpu_seconds=math.inf),
        _cell(cpu_seconds=1e300),
        _cell(cpu_seconds=10**400),
        _cell(identifier=3),
        {},
        None,
        [],
        "a",
    ],
)
def test_what_a_report_says_without_sense_is_unknown(tmp_path: Path, cell: Any) -> None:  # noqa: ANN401 (JSON)
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"cells": [cell, _cell(identifier="b")]}))
    assert told_costs([path]) == {"b": 4.5}


def test_of_several_reports_the_largest_cost_counts(tmp_path: Path) -> None:
    # Each job of the last run printed one, and in each some cell did what all share.
    for index, seconds in enumerate([3.0, 9.0, 1.0]):
        (tmp_path / f"{index}.json").write_text(json.dumps({"cells": [_cell(cpu_seconds=seconds)]}))
    assert told_costs(sorted(tmp_path.iterdir())) == {"a": 9.0}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"3", b'{"wheels": []}', b'{"cells": {}}', b'{"cells": 3}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_report_is_told_and_never_guessed_on(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        told_costs([path])
    assert "report.json" in caught.value.message
