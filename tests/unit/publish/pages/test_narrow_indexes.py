"""Indexes of one torch and one CUDA: which there are, and what each lists, by what is in the wheels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from package_index import Log
from small_wheels import small_wheel

from gpuwheel.compatibility import load_tables
from gpuwheel.publish.pages import FolderSource, IndexRequest, write_index

if TYPE_CHECKING:
    from pathlib import Path

LINUX = "py3-none-manylinux_2_28_x86_64"


def _indexes(folder: Path) -> dict[str, list[str]]:
    """Root -> versions of the wheels of all projects that it lists."""
    request = IndexRequest(index=folder, sources=[FolderSource(folder, folder)])
    summary = write_index(request, load_tables(), Log())
    found = {}
    for root in summary.indexes:
        names = []
        for project in json.loads((folder / root / "index.json").read_bytes())["projects"]:
            page = json.loads((folder / root / project["name"] / "index.json").read_bytes())
            for file in page["files"]:
                assert ((folder / root / project["name"]) / file["url"].replace("%2B", "+")).is_file()
            names += [file["filename"].removesuffix(".whl").rsplit("-", 3)[0] for file in page["files"]]
        found[root.removesuffix("simple").rstrip("/")] = names
    return found


def _wheel(folder: Path, version: str, torch: str = "", cuda: str | None = None, name: str = "ops") -> None:
    fields = f"Requires-Dist: torch{torch}\n" if torch else ""
    small_wheel(folder, name, version, fields=fields, cuda=cuda, tag=LINUX)


def test_where_nothing_differs_there_is_one(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0", ">=2.10", "13.0")
    _wheel(tmp_path, "2.0", ">=2.10", "13.0")
    _wheel(tmp_path, "1.0", name="other")
    assert _indexes(tmp_path) == {"": ["ops-1.0", "ops-2.0", "other-1.0"]}


def test_toolkits_have_one_each_and_what_serves_all_is_on_each(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+cu12.9", ">=2.10", "12.9")
    _wheel(tmp_path, "1.0+cu13.0", ">=2.10", "13.0")
    _wheel(tmp_path, "1.0", ">=2.10", "12.9", name="collapsed")
    _wheel(tmp_path, "3.0", name="plain")
    assert _indexes(tmp_path) == {
        "": ["collapsed-1.0", "ops-1.0+cu12.9", "ops-1.0+cu13.0", "plain-3.0"],
        "cu12.9": ["collapsed-1.0", "ops-1.0+cu12.9", "plain-3.0"],
        "cu13.0": ["collapsed-1.0", "ops-1.0+cu13.0", "plain-3.0"],
    }


def test_names_decide_nothing(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+a", ">=2.10", "13.0")
    _wheel(tmp_path, "1.0+b", ">=2.10", "12.9")
    found = _indexes(tmp_path)
    assert (found["cu12.9"], found["cu13.0"]) == (["ops-1.0+b"], ["ops-1.0+a"])


def test_a_wheel_that_links_a_runtime_stays_with_its_major(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+cu12", ">=2.10", "12")
    _wheel(tmp_path, "1.0+cu13", ">=2.10", "13")
    _wheel(tmp_path, "1.0", ">=2.10", "12", name="old")
    assert _indexes(tmp_path) == {
        "": ["old-1.0", "ops-1.0+cu12", "ops-1.0+cu13"],
        "cu12": ["old-1.0", "ops-1.0+cu12"],
        "cu13": ["ops-1.0+cu13"],
    }


def test_torch_and_cuda_together(tmp_path: Path) -> None:
    for torch in ("2.13", "2.14"):
        for cuda in ("12.9", "13.0"):
            _wheel(tmp_path, f"1.0+torch{torch}.cu{cuda}", f"=={torch}.*", cuda)
    found = _indexes(tmp_path)
    assert sorted(found) == sorted(
        ["", "cu12.9", "cu13.0", *(f"torch{torch}/cu{cuda}" for torch in ("2.13", "2.14") for cuda in ("12.9", "13.0"))]
    )
    assert found["torch2.13/cu13.0"] == ["ops-1.0+torch2.13.cu13.0"]
    assert found["cu12.9"] == ["ops-1.0+torch2.13.cu12.9", "ops-1.0+torch2.14.cu12.9"]


def test_torch_alone(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+torch2.9", "==2.9.*")
    _wheel(tmp_path, "1.0+torch2.14", "==2.14.*")
    _wheel(tmp_path, "1.0", ">=2.10", name="collapsed")
    found = _indexes(tmp_path)
    assert found["torch2.9"] == ["ops-1.0+torch2.9"]
    assert found["torch2.14"] == ["collapsed-1.0", "ops-1.0+torch2.14"]
    assert set(found) == {"", "torch2.9", "torch2.14"}


def test_bounds_divide_as_pins_do(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+old", "<2.12,>=2.10")
    _wheel(tmp_path, "1.0+new", ">=2.12")
    found = _indexes(tmp_path)
    assert found["torch2.11"] == ["ops-1.0+old"]
    assert found["torch2.12"] == found["torch2.15"] == ["ops-1.0+new"]


def test_wheels_without_device_code_are_for_those_without_a_gpu(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+cpu")
    _wheel(tmp_path, "1.0+cu13.0", cuda="13.0")
    _wheel(tmp_path, "1.0", cuda="13", name="links")
    _wheel(tmp_path, "1.0", cuda="12.9", name="embeds")
    assert _indexes(tmp_path) == {
        "": ["embeds-1.0", "links-1.0", "ops-1.0+cpu", "ops-1.0+cu13.0"],
        "cpu": ["embeds-1.0", "ops-1.0+cpu"],
        "cu13.0": ["embeds-1.0", "links-1.0", "ops-1.0+cu13.0"],
    }


def test_a_major_stands_for_each_of_its_minors(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+cu12", cuda="12")
    _wheel(tmp_path, "1.0+cu13", cuda="13")
    _wheel(tmp_path, "1.0", cuda="12.9", name="embeds")
    found = _indexes(tmp_path)
    assert found["cu12"] == ["embeds-1.0", "ops-1.0+cu12"]
    assert found["cu13"] == ["embeds-1.0", "ops-1.0+cu13"]


def test_within_a_major_a_later_toolkit_is_better_than_nothing(tmp_path: Path) -> None:
    for cuda in ("13.0", "13.2"):
        _wheel(tmp_path, f"1.0+cu{cuda}", cuda=cuda)
    _wheel(tmp_path, "1.0", cuda="13.2", name="later")  # its own floor is the driver of 13.0
    _wheel(tmp_path, "1.0+cu12.9", cuda="12.9")
    found = _indexes(tmp_path)
    assert found["cu13.0"] == ["later-1.0", "ops-1.0+cu13.0"]
    assert found["cu13.2"] == ["later-1.0", "ops-1.0+cu13.2"]
    assert found["cu12.9"] == ["ops-1.0+cu12.9"]


def test_code_of_which_nothing_tells_the_toolkit_is_no_cpu_wheel(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0", cuda="", name="static")
    assert set(_indexes(tmp_path)) == {""}
    _wheel(tmp_path, "1.0+cu12.9", cuda="12.9")
    _wheel(tmp_path, "1.0+cu13.0", cuda="13.0")
    found = _indexes(tmp_path)
    assert set(found) == {"", "cu12.9", "cu13.0"}
    assert "static-1.0" in found["cu12.9"]


def test_what_no_wheel_needs_any_more_goes(tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+cu12.9", cuda="12.9")
    _wheel(tmp_path, "1.0+cu13.0", cuda="13.0")
    assert set(_indexes(tmp_path)) == {"", "cu12.9", "cu13.0"}
    (tmp_path / f"ops-1.0+cu12.9-{LINUX}.whl").unlink()
    assert set(_indexes(tmp_path)) == {""}
    assert not (tmp_path / "cu12.9").exists()
    assert not (tmp_path / "cu13.0").exists()


def test_wheels_that_claim_many_torches_and_toolkits_get_no_index_each(tmp_path: Path) -> None:
    for number in range(40):
        _wheel(tmp_path, f"1.0+a{number}", f"==77.{number}.*", f"99.{number}")
    for torch, cuda in (("2.13", "12.9"), ("2.14", "13.0")):
        _wheel(tmp_path, f"1.0+torch{torch}", f"=={torch}.*", cuda)
    found = _indexes(tmp_path)
    torches = {path.partition("/")[0] for path in found if path.startswith("torch")}
    cudas = {path for path in found if path.startswith("cu")}
    assert (len(torches), len(cudas)) == (16, 16)
    assert {"torch2.13", "torch2.14"} < torches
    assert {"cu12.9", "cu13.0"} < cudas


@pytest.mark.parametrize("torch", ["==2.14.1", "~=2.14.0", "==2.14.*,!=2.14.2", "==2.14.0+cu130"])
def test_pins_of_one_release_are_of_its_minor(torch: str, tmp_path: Path) -> None:
    _wheel(tmp_path, "1.0+a", torch)
    _wheel(tmp_path, "1.0+b", "==2.13.*")
    assert set(_indexes(tmp_path)) == {"", "torch2.13", "torch2.14"}


def test_no_gpu_wheel_is_on_the_cpu_index_of_a_project_with_wheels_for_it(tmp_path: Path) -> None:
    small_wheel(tmp_path, "ops", "1.0")
    old = "py3-none-manylinux_2_17_x86_64"
    small_wheel(tmp_path, "ops", "1.0+cu12.9", cuda="12.9", tag=old)
    small_wheel(tmp_path, "ops", "2.0", cuda="12.9", tag=old)
    # Of another platform alone: who is on this one has nothing else.
    small_wheel(tmp_path, "far", "1.0", tag="py3-none-macosx_11_0_arm64")
    small_wheel(tmp_path, "far", "1.0+cu12.9", cuda="12.9", tag=old)
    # Nobody knows what it needs.
    small_wheel(tmp_path, "static", "1.0", cuda="", tag=old)
    assert _indexes(tmp_path)["cpu"] == ["far-1.0", "far-1.0+cu12.9", "ops-1.0"]
