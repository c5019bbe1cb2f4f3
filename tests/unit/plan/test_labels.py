"""Local versions: what tells wheels of one version apart that differ in torch or CUDA."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from gpuwheel.errors import PlanError
from gpuwheel.model.cells import Cell, Decision
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.plan import local_labels

if TYPE_CHECKING:
    from collections.abc import Iterable


def decision(
    cuda: tuple[int, int], torch: tuple[int, int], python: int = 12, machine: str = "x86_64", mode: Mode = Mode.NVCC
) -> Decision:
    cell = Cell(
        mode=mode,
        cuda=MinorVersion(*cuda),
        archs=(),
        torch_floor=MinorVersion(*torch),
        driver_floor=DriverVersion((580,)),
        compression=(),
        machine=machine,
        torch=TorchAbi.EXACT,
        python=MinorVersion(3, python),
        python_abi=PythonAbi.VERSION,
    )
    return Decision(cell, accepted=True, reason="")


def labels(decisions: Iterable[Decision]) -> list[str | None]:
    return list(local_labels(tuple(decisions)).values())


toolkits = st.tuples(st.integers(12, 19), st.integers(0, 30))
torches = st.tuples(st.just(2), st.integers(0, 40))
matrices = st.tuples(
    st.sets(toolkits, min_size=1, max_size=3),
    st.sets(torches, min_size=1, max_size=4),
    st.sets(st.integers(10, 15), min_size=1, max_size=2),
    st.sets(st.sampled_from(["x86_64", "aarch64"]), min_size=1),
)


@given(matrices, st.data())
def test_no_two_wheels_of_a_plan_share_a_name(
    axes: tuple[set[tuple[int, int]], set[tuple[int, int]], set[int], set[str]], data: st.DataObject
) -> None:
    every = [decision(*values) for values in product(*axes)]
    chosen = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    found = local_labels(tuple(chosen))
    files = {(one.cell.python_tag, one.cell.platform, found[one.cell.identifier]) for one in chosen}
    assert len(files) == len(chosen)
    # Labels are for what needs them alone, and then for all: one version names a release on every Python.
    together = defaultdict(list)
    for one in chosen:
        together[one.cell.python_tag, one.cell.platform].append(one)
    needed = any(len(same) > 1 for same in together.values())
    assert all((label is not None) is needed for label in found.values())


@given(st.lists(st.tuples(torches, toolkits), min_size=2, max_size=6, unique=True), st.sampled_from(["", "cpu", "7.x"]))
def test_labels_sort_as_torch_and_then_cuda_do(pairs: list[tuple[tuple[int, int], tuple[int, int]]], own: str) -> None:
    found = labels(decision(cuda, torch) for torch, cuda in sorted(pairs))
    versions = [Version("1.0+" + ".".join(filter(None, (own, label)))) for label in found]
    assert all(older < newer for older, newer in pairwise(versions))


def test_only_what_differs_is_in_a_label() -> None:
    assert labels([decision((13, 0), (2, 9)), decision((13, 0), (2, 14))]) == ["torch2.9", "torch2.14"]
    assert labels([decision((12, 9), (2, 9)), decision((13, 0), (2, 9))]) == ["cu12.9", "cu13.0"]
    assert labels([decision((12, 9), (2, 9)), decision((13, 0), (2, 14))]) == ["torch2.9.cu12.9", "torch2.14.cu13.0"]
    assert labels([decision((13, 0), (2, 9), 11), decision((13, 0), (2, 9), 12)]) == [None, None]
    # Another file for another Python: no label, whatever torch it is for.
    assert labels([decision((13, 0), (2, 9), 11), decision((13, 0), (2, 14), 12)]) == [None, None]


def test_rejected_cells_make_no_labels_and_get_none() -> None:
    good, bad = decision((13, 0), (2, 9)), decision((13, 0), (2, 14))
    assert local_labels((good, Decision(bad.cell, accepted=False, reason="no"))) == {good.cell.identifier: None}
    assert local_labels(()) == {}


def test_two_cells_that_no_label_tells_apart_are_an_error_that_names_both() -> None:
    one, other = decision((13, 0), (2, 9)), decision((13, 0), (2, 9), mode=Mode.EMBED)
    with pytest.raises(PlanError, match="would write one file") as caught:
        local_labels((one, other))
    assert one.cell.identifier in caught.value.message
    assert other.cell.identifier in caught.value.message
