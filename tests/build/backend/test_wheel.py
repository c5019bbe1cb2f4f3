"""What a wheel holds and claims, built through the hooks."""

from __future__ import annotations

import json
import os
import zipfile
from email.parser import BytesParser
from typing import TYPE_CHECKING

import jsonschema
import pytest

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tree(root: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every path below a folder, with its time of change and contents."""
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(root.rglob("*"))
    }


def test_one_wheel_for_every_python_with_its_kernels_and_their_manifest(project: Project, tmp_path: Path) -> None:
    before = tree(project.root)
    wheel = project.wheel(tmp_path / "out")
    assert tree(project.root) == before, "the user's tree was edited"

    name, version, python, abi, platform = wheel.stem.split("-")
    assert (name, version, python, abi) == ("tiny_ops", "1.2.3", "py3", "none")
    assert platform.startswith("manylinux_2_")

    inside = members(wheel)
    manifest = json.loads(inside["tiny_ops/_kernels.json"])
    jsonschema.validate(manifest, json.loads(resource("data", "kernels.schema.json").read_text(encoding="utf-8")))
    kernels = manifest["groups"]["tiny"]["kernels"]
    assert {archs for costs in kernels.values() for archs in costs} == {"sm_80", "sm_90"}
    assert any("scale" in kernel for kernel in kernels)

    metadata = BytesParser().parsebytes(inside["tiny_ops-1.2.3.dist-info/METADATA"])
    assert metadata.get_all("Requires-Dist") == ["torch>=2.10", "packaging>=24"]
    assert b"Generator: gpuwheel" in inside["tiny_ops-1.2.3.dist-info/WHEEL"]
    sbom = json.loads(inside["tiny_ops-1.2.3.dist-info/sboms/gpuwheel.cdx.json"])
    components = {component["name"] for component in sbom["components"]}
    assert {"nvidia-cuda-nvrtc-cu12", "torch"} <= components
    assert "nvidia-cuda-nvcc-cu12" not in components


LISTENING = """\
import os, sys
def hear(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".whl") and str(arguments[1]).startswith("r"):
        with open(os.environ["HEARD"], "a") as log:
            log.write(os.path.basename(arguments[0]) + "\\n")
sys.addaudithook(hear)
"""


def test_a_build_reads_the_inner_backends_wheel_once_and_its_own_never(project: Project, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(LISTENING, encoding="utf-8")
    for turn in ("linked", "from the cache"):
        log = tmp_path / f"{turn}.txt"
        project.wheel(tmp_path / turn, PYTHONPATH=str(tmp_path / "site"), HEARD=str(log))
        opened = [name for name in log.read_text(encoding="utf-8").splitlines() if name.startswith("tiny_ops")]
        assert [name.rpartition("-")[2] for name in opened] == [f"linux_{os.uname().machine}.whl"], turn


WMMA = """\
#include <mma.h>
using namespace nvcuda;
__global__ void tile(const half* a, const half* b, float* c) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.f);
  wmma::load_matrix_sync(left, a, 16);
  wmma::load_matrix_sync(right, b, 16);
  wmma::mma_sync(sum, left, right, sum);
  wmma::store_matrix_sync(c, sum, 16, wmma::mem_row_major);
}
"""


def test_a_kernel_with_wmma_needs_no_further_setting(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project(**{"csrc/tile.cu": WMMA})
    inside = members(project.wheel(tmp_path / "out"))
    assert "tile" in json.loads(inside["tiny_ops/_kernels.json"])["groups"]["tiny"]["kernels"]
    sbom = json.loads(inside["tiny_ops-1.2.3.dist-info/sboms/gpuwheel.cdx.json"])
    (crt,) = (component for component in sbom["components"] if component["name"] == "nvidia-cuda-nvcc-cu12")
    assert crt["version"] == "12.9.86"
    assert crt["externalReferences"]


def test_metadata_is_the_same_from_every_hook(project: Project, tmp_path: Path) -> None:
    wheel = members(project.wheel(tmp_path / "out"))["tiny_ops-1.2.3.dist-info/METADATA"]

    for hook in ("prepare_metadata_for_build_wheel", "prepare_metadata_for_build_editable"):
        out = tmp_path / hook
        out.mkdir()
        result = project.hook(hook, out)
        assert result.code == 0, result.output
        assert (out / result.value / "METADATA").read_bytes() == wheel

    out = tmp_path / "editable"
    out.mkdir()
    editable = project.hook("build_editable", out)
    assert editable.code == 0, editable.output
    assert members(out / editable.value)["tiny_ops-1.2.3.dist-info/METADATA"] == wheel


def test_same_bytes_from_two_folders_two_umasks_and_two_days(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    first = make_project("one").wheel(tmp_path / "first")
    elsewhere = make_project("a longer folder/two")
    for path in elsewhere.root.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = os.umask(0o077)
    try:
        second = elsewhere.wheel(tmp_path / "second", GPUWHEEL_CACHE_DIR=str(tmp_path / "another cache"))
    finally:
        os.umask(before)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_static_dependencies_stay_as_the_author_wrote_them(project: Project, tmp_path: Path) -> None:
    project.replace("pyproject.toml", 'dynamic = ["dependencies"]', 'dependencies = ["torch>=2.11"]')
    project.replace("pyproject.toml", 'dependencies = ["packaging>=24"]\n', "")
    wheel = members(project.wheel(tmp_path / "out"))
    metadata = BytesParser().parsebytes(wheel["tiny_ops-1.2.3.dist-info/METADATA"])
    assert metadata.get_all("Requires-Dist") == ["torch>=2.11"]


def test_settings_from_the_command_line_reach_the_images(project: Project, tmp_path: Path) -> None:
    wheel = members(project.wheel(tmp_path / "out", {"gpuwheel.archs": "12.0"}))
    manifest = json.loads(wheel["tiny_ops/_kernels.json"])
    assert manifest["groups"]["tiny"]["archs"] == ["sm_120"]
    assert manifest["groups"]["tiny"]["ptx"] == []
