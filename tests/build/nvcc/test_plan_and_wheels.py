"""What `gpuwheel plan --json` says of a wheel is what its name, METADATA, WHEEL and manifests say, in every mode."""

from __future__ import annotations

import json
import sys
import tarfile
from email.parser import BytesParser
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project, Wheel

pytestmark = [pytest.mark.compiler, pytest.mark.network]

HEAD = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "nv-plan"
version = "1.0"
requires-python = ">=3.10,<4"
dynamic = ["dependencies", "optional-dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
"""
KERNELS = """
[tool.gpuwheel.kernels.k]
sources = ["csrc/k.cu"]

[tool.gpuwheel.extensions."nv_plan._C"]
kernels = ["k"]
"""
NVCC = """
[tool.gpuwheel.extensions."nv_plan._C"]
mode = "nvcc"
abi = "none"
sources = ["csrc/k.cu"]
"""
FILES = {
    "csrc/k.cu": 'extern "C" __global__ void fill(float* out) { out[threadIdx.x] = 1.0f; }\n',
    # A constructor that does nothing: without a use of the kernel, the linker leaves its images out.
    "csrc/ops.cpp": """\
#include <cstdlib>
#include "k.kernels.h"
[[gnu::constructor]] static void use() {
  if (std::getenv("NV_PLAN_LAUNCHES")) fill.launch({1, 32, nullptr}, static_cast<float*>(nullptr));
}
""",
    "nv_plan/__init__.py": "",
}
CASES = {
    "embed": KERNELS + 'sources = ["csrc/ops.cpp"]\n',
    "embed, two toolkits of which one serves": 'cuda = ["12.9", "13.0"]\n' + KERNELS + 'sources = ["csrc/ops.cpp"]\n',
    "embed, for the libraries of this machine": KERNELS
    + 'sources = ["csrc/ops.cpp"]\n[tool.gpuwheel.wheel]\nplatform = "system"\n',
    "kernels": 'driver = ">=550"\n' + KERNELS + 'mode = "kernels"\n',
    "nvcc": NVCC,
    "nvcc, abi3": NVCC + 'python = "abi3"\n',
    "python": 'torch = ">=2.11"\nnvmath = ">=1.0"\n',
}


@pytest.fixture
def planned(tmp_path: Path, project_at: Callable[[Path], Project]) -> Callable[[str], Project]:
    def write(settings: str) -> Project:
        root = tmp_path / "nv-plan"
        for name, text in {**FILES, "pyproject.toml": HEAD + settings}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return project_at(root)

    return write


def cells(project: Project, *options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(main, ["plan", str(project.root), "--json", *options])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["cells"]
    return found


def assert_is(wheel: Wheel, cell: dict[str, Any]) -> None:
    """The wheel is what the plan said of it."""
    # A wheel has its local version where it was told: `gpuwheel build` does.
    local = "+" in wheel.path.name
    named = cell["file"] if local or not cell["local"] else cell["file"].replace(f"+{cell['local']}", "")
    assert fnmatchcase(wheel.path.name, named)
    assert wheel.metadata["Version"] == "1.0" + (f"+{cell['local']}" if local else "")
    assert set(wheel.requirements) >= set(cell["requires"])
    python, abi, platform = wheel.tag.split("-")
    assert f"{python}-{abi}" == cell["python_tag"]
    assert platform == cell["platform_tag"] or (cell["platform_tag"] is None and platform.startswith("manylinux_"))
    (info,) = wheel.root.glob("*.dist-info")
    tags = BytesParser().parsebytes((info / "WHEEL").read_bytes()).get_all("Tag", [])
    assert tags == [f"{cell['python_tag']}-{platform}"]
    requires = [Requirement(text) for text in wheel.requirements]
    asked = [str(one.specifier) for one in requires if one.name == "torch"]
    assert asked == ([] if cell["torch"] is None else [cell["torch"]])
    assert wheel.metadata["Requires-Python"] == cell["requires_python"]
    manifests = [json.loads(path.read_bytes()) for path in wheel.root.rglob("_kernels.json")]
    assert len(manifests) == (0 if cell["driver"] is None else 1)
    for manifest in manifests:
        assert (f">={manifest['driver_floor']}", manifest["toolkit"]) == (cell["driver"], cell["cuda"])
        archs = {arch for group in manifest["groups"].values() for arch in group["archs"]}
        assert archs == {f"sm_{arch.replace('.', '')}" for arch in cell["archs"]}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_the_wheel_is_what_the_plan_says(planned: Callable[[str], Project], tmp_path: Path, settings: str) -> None:
    project = planned(settings)
    (cell,) = cells(project)
    assert_is(project.wheel(tmp_path / "out"), cell)


def test_of_several_wheels_a_build_makes_that_of_its_python_or_the_one_that_is_named(
    planned: Callable[[str], Project], tmp_path: Path
) -> None:
    project = planned('cuda = ["13.0", "13.5"]\n' + NVCC + 'python = "version"\n')
    here = f"cp3{sys.version_info.minor}"
    first, second = (f"nvcc-cu{cuda}-{here}-linux_x86_64" for cuda in ("13.0", "13.5"))
    by_name = {cell["identifier"]: cell for cell in cells(project)}
    assert len(by_name) > 2
    assert_is(project.wheel(tmp_path / "first"), by_name[first])
    (named,) = cells(project, "--only", second)
    assert named == by_name[second]
    labelled = {"gpuwheel.only": second, "gpuwheel.local": named["local"]}
    wheel = project.wheel(tmp_path / "second", labelled)
    assert "+cu13.5-" in wheel.path.name
    assert_is(wheel, named)
    elsewhere = next(name for name in by_name if here not in name)
    refused = project.build(tmp_path / "third", {"gpuwheel.only": elsewhere})
    assert refused.code != 0
    assert elsewhere in refused.output
    assert "hint: build with Python 3." in refused.output


@pytest.mark.parametrize(
    ("torch", "requires", "dynamic"),
    [('"==2.13.*"', ["torch==2.13.*"], []), ('["==2.12.*", "==2.13.*"]', [], ["Requires-Dist"])],
)
def test_an_sdist_leaves_to_its_wheels_in_what_they_differ(
    planned: Callable[[str], Project], tmp_path: Path, torch: str, requires: list[str], dynamic: list[str]
) -> None:
    project = planned(f"torch = {torch}\n" + NVCC.replace("none", "exact"))
    (tmp_path / "out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        from gpuwheel import backend  # noqa: PLC0415 (beside the patch)

        name = backend.build_sdist(str(tmp_path / "out"))
    with tarfile.open(tmp_path / "out" / name) as archive:
        file = archive.extractfile("nv_plan-1.0/PKG-INFO")
        assert file is not None
        info = BytesParser().parsebytes(file.read())
    assert info.get_all("Requires-Dist", []) == requires
    assert [one for one in info.get_all("Dynamic", []) if one == "Requires-Dist"] == dynamic
