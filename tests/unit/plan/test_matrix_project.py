"""The example project of which every torch and every Python takes a wheel of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matrix_project import PYTHONS, TORCHS, cell_names, copy_matrix_project

from gpuwheel.compatibility import load_tables
from gpuwheel.config import load_config
from gpuwheel.plan import plan

if TYPE_CHECKING:
    from pathlib import Path


def test_it_has_a_cell_for_each_torch_and_each_python_and_nothing_collapses(tmp_path: Path) -> None:
    config = load_config(copy_matrix_project(tmp_path / "p"), environ={})
    decisions = plan(config, load_tables(), machine="x86_64")
    assert [str(one.cell.name) for one in decisions] == cell_names(machine="x86_64")
    assert not any(one.collapsed for one in decisions)
    rejected = {str(one.cell.name) for one in decisions if not one.accepted}
    assert rejected == {
        *cell_names(torchs=["2.10"], machine="x86_64"),
        *cell_names(torchs=["2.15"], pythons=["3.10"], machine="x86_64"),
    }


def test_a_copy_is_for_the_versions_it_is_asked_for(tmp_path: Path) -> None:
    torchs, pythons = TORCHS[3:5], PYTHONS[1:3]
    config = load_config(copy_matrix_project(tmp_path / "p", torchs=torchs, pythons=pythons), environ={})
    names = [str(one.cell.name) for one in plan(config, load_tables(), machine="x86_64")]
    assert names == cell_names(torchs=torchs, pythons=pythons, machine="x86_64")
