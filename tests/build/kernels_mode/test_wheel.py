"""A wheel without host code: what it holds, and its operator on the CPU."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility import load_tables
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel import Member, read_members, write_wheel

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.network

FATBINS = ("tiny.cu12.9.fatbin", "tiny.cu13.2.fatbin")

ON_THE_CPU = """
import sys
import torch, tiny_ops
from tiny_ops import _kernels
x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
assert torch.equal(tiny_ops.scale(x, 2.0), x * 2)
assert torch.ops.tiny_ops.scale.default is tiny_ops.scale
torch.library.opcheck(tiny_ops.scale, (x, 2.0))
assert torch.autograd.gradcheck(lambda x: tiny_ops.scale(x, 2.0), (x,))
compiled = torch.compile(lambda x: tiny_ops.scale(x, 3.0).sum(), fullgraph=True, backend="aot_eager")
compiled(x).backward()
assert torch.equal(x.grad, torch.full_like(x, 3.0))
try:
    _kernels.scale_float(torch.ones(4), torch.ones(4), 4, 2.0, grid=1, block=4)
except ValueError as error:
    assert str(error) == "scale_float: a tensor is on cpu, a CUDA device is expected", error
else:
    raise AssertionError("a launch on the CPU")
assert not {"cuda.core", "cuda.bindings"} & set(sys.modules), "the CPU needs nothing of NVIDIA's"
print(_kernels.__file__)
"""


def run(program: str, *paths: Path) -> str:
    """A program that sees `paths` before everything else."""
    found = f"import sys; sys.path[:0] = {list(map(str, paths))!r}\n"
    done = subprocess.run(  # noqa: TID251 (a user's program)
        [sys.executable, "-c", found + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unpacked(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.end_to_end
def test_one_wheel_for_every_platform(wheel: Path) -> None:
    assert wheel.name == "tiny_ops-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    kept = {name for name in inside if not name.startswith("tiny_ops-1.2.3.dist-info/")}
    launchers = {f"tiny_ops/_kernels/{name}" for name in ("__init__.py", "_runtime.py", *FATBINS)}
    assert kept == {"tiny_ops/__init__.py", "tiny_ops/_kernels.json", *launchers}

    metadata = BytesParser().parsebytes(inside["tiny_ops-1.2.3.dist-info/METADATA"])
    assert metadata.get_all("Requires-Dist") == [
        "torch>=2.10",
        'cuda-core<2,>=1.0; sys_platform == "linux" or sys_platform == "win32"',
    ]
    assert b"Root-Is-Purelib: true" in inside["tiny_ops-1.2.3.dist-info/WHEEL"]
    manifest = json.loads(inside["tiny_ops/_kernels.json"])
    jsonschema.validate(manifest, json.loads(resource("data", "kernels.schema.json").read_text(encoding="utf-8")))
    assert set(manifest["groups"]["tiny"]["kernels"]) == {
        "tiny::scale<float>",
        "tiny::scale<__half>",
        next(name for name in manifest["groups"]["tiny"]["kernels"] if "every_type" in name),
        "static_shared",
    }
    sbom = json.loads(inside["tiny_ops-1.2.3.dist-info/sboms/gpuwheel.cdx.json"])
    components = {component["name"] for component in sbom["components"]}
    assert {"nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc"} <= components
    assert "tools" not in sbom["metadata"], "no compiler for the host took part"


def test_launchers_in_no_package_keep_their_manifest(project: Project, tmp_path: Path) -> None:
    """At the top of site-packages, other distributions would write over it."""
    top = replace(project, root=tmp_path / "project")
    shutil.copytree(project.root, top.root)
    pyproject = top.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"tiny_ops._kernels"', '"tiny_kernels"'))
    built = top.hook("build_wheel", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out" / built) as archive:
        found = [name for name in archive.namelist() if name.endswith("_kernels.json")]
    assert found == ["tiny_kernels/_kernels.json"]


def test_a_wheel_needs_the_pins_of_one_toolkit_and_no_cmake(project: Project, tmp_path: Path) -> None:
    nothing = tmp_path / "no programs"
    nothing.mkdir()
    asked = ast.literal_eval(project.hook("get_requires_for_build_wheel", PATH=str(nothing)))
    toolkit = load_tables().cuda[MinorVersion(12, 9)]
    assert asked == [pin.requirement for pin in toolkit.components]


def test_the_same_metadata_and_bytes_again(project: Project, wheel: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / project.hook("build_wheel", tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()
    prepared = tmp_path / "prepared"
    metadata = (prepared / project.hook("prepare_metadata_for_build_wheel", prepared) / "METADATA").read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tiny_ops-1.2.3.dist-info/METADATA") == metadata


@pytest.mark.end_to_end
@pytest.mark.torch
def test_the_operator_on_the_cpu(wheel: Path, tmp_path: Path) -> None:
    site = unpacked(wheel, tmp_path / "site")
    assert run(ON_THE_CPU, site).strip() == str(site / "tiny_ops" / "_kernels" / "__init__.py")


@pytest.mark.torch
def test_an_editable_install(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "editable"
    site = unpacked(out / project.hook("build_editable", out), tmp_path / "site")
    program = f"import site; site.addsitedir({str(site)!r})\n{ON_THE_CPU}\nprint(tiny_ops.__file__)"
    kernels, package = run(program).split()
    assert Path(kernels) == project.root / "tiny_ops" / "_kernels" / "__init__.py"
    assert Path(package) == project.root / "tiny_ops" / "__init__.py"


@pytest.mark.parametrize(
    ("toolkit", "taken_from", "problem"),
    [
        ("12.9", None, "lacks.*sm_90"),
        ("13.2", None, "lacks.*sm_90"),
        ("12.9", "13.2", "compressed with zstd .*driver 525"),
    ],
)
def test_what_is_not_promised_is_refused_by_the_audit(
    wheel: Path, tmp_path: Path, toolkit: str, taken_from: str | None, problem: str
) -> None:
    """The manifest promises sm_90 for drivers >=525, with each toolkit; only a newer driver is given images of 13.2."""
    assert audit_wheel(wheel, load_tables()) == ()
    members = read_members(wheel)
    names = {version: f"tiny_ops/_kernels/tiny.cu{version}.fatbin" for version in ("12.9", "13.2")}
    content = members[names[taken_from]].data if taken_from else b""
    members[names[toolkit]] = Member(names[toolkit], content)
    broken = tmp_path / wheel.name
    write_wheel(broken, members.values())
    found = [finding for finding in audit_wheel(broken, load_tables()) if finding.rule != "cubin-driver"]
    (finding,) = found  # that images of CUDA 13 may not load there is said as well
    assert re.search(problem, finding.problem), finding
