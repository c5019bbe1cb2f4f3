"""The table in the build log, the budget, and the manifest with its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel.compile.device.costs import check_budget, summary
from gpuwheel.compile.manifest import group_entry, manifests, write_manifests
from gpuwheel.errors import CompileError
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import CompiledGroup, KernelCost
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def built(tmp_path: Path) -> CompiledGroup:
    fatbin = tmp_path / "fused.fatbin"
    fatbin.write_bytes(b"x" * 2048)
    kernels = {
        "ops::k<float, 4>": {"sm_75": KernelCost(512, 22, 0, 0), "sm_90a": KernelCost(640, 128, 1024, 16, spill=24)},
        "only_new": {"sm_90a": KernelCost(128, 8, 0, 0)},
    }
    archs = (Arch.parse("7.5"), Arch.parse("9.0a"))
    return CompiledGroup("fused", fatbin, kernels, archs, (Arch.parse("10.0"),))


def test_the_table(built: CompiledGroup) -> None:
    assert summary(built) == [
        "kernel group fused: 2 kernels for sm_75, sm_90a, compute_100, 2,048 bytes",
        "registers per thread, +bytes spilled",
        "kernel            sm_75  sm_90a",
        "ops::k<float, 4>     22  128+24",
        "only_new              -       8",
    ]


def test_a_namespace_that_all_kernels_share_is_left_out_of_the_table(built: CompiledGroup) -> None:
    costs = next(iter(built.kernels.values()))
    names = ["pkg::kernels::a::scale<ns::T>", "pkg::kernels::b::scale"]
    table = summary(replace(built, kernels=dict.fromkeys(names, costs)))
    assert [line.split()[0] for line in table[3:]] == ["a::scale<ns::T>", "b::scale"]


def test_a_budget_names_the_worst_kernel_first(built: CompiledGroup) -> None:
    check_budget(built, 128)
    with pytest.raises(
        CompileError, match=r"kernel ops::k<float, 4> uses 128 registers per thread on sm_90a"
    ) as caught:
        check_budget(built, 20)
    assert caught.value.detail is not None
    assert len(caught.value.detail.splitlines()) == 2


def test_the_manifest_is_valid_sorted_and_left_alone_when_equal(built: CompiledGroup, tmp_path: Path) -> None:
    contents = _manifests(built)
    path = write_manifests(contents, tmp_path / "package")["ops"]
    document = json.loads(path.read_bytes())
    jsonschema.validate(document, _schema())
    assert document["groups"]["fused"]["kernels"]["ops::k<float, 4>"]["sm_90a"] == {
        "bytes": 640, "registers": 128, "shared": 1024, "local": 16,
    }  # fmt: skip
    assert json.dumps(document, indent=1, sort_keys=True) + "\n" == path.read_text(encoding="utf-8")
    before = path.stat().st_mtime_ns
    write_manifests(contents, tmp_path / "package")
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(schema=2),
        lambda document: document.pop("toolkit"),
        lambda document: document.update(driver_floor=">=525"),
        lambda document: document.update(built="2026-11-22"),
        lambda document: document["groups"]["fused"].update(archs=["9.0"]),
        lambda document: document["groups"]["fused"]["kernels"]["only_new"]["sm_90a"].update(registers=256),
        lambda document: document["groups"]["fused"]["kernels"]["only_new"]["sm_90a"].pop("local"),
    ],
)
def test_the_schema_refuses(built: CompiledGroup, spoil: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(_manifests(built)["ops"])
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, _schema())


def _manifests(built: CompiledGroup) -> dict[str, bytes]:
    entries = [("ops", built.name, group_entry(built))]
    return manifests(entries, toolkit=MinorVersion(12, 9), driver_floor=DriverVersion((525,)))


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(resource("data", "kernels.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema
