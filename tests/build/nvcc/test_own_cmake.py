"""Projects with a CMakeLists.txt of their own, which find the toolchain by find_package(GpuWheel)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.fatbin import library_images
from gpuwheel.compatibility import load_tables
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

CALL = """
import torch
from nv_own import scale
assert scale(torch.arange(4.0), 2.0).tolist() == [0, 2, 4, 6]
"""


def test_kernels_and_an_extension(project: Callable[[str], Project], tmp_path: Path) -> None:
    wheel = project("own").wheel(tmp_path / "out")
    assert wheel.tag.startswith("py3-none-manylinux_2_")
    assert wheel.requirements == ["torch>=2.10"]
    library = read_elf((wheel.root / "nv_own/_C.so").read_bytes(), "_C.so")
    assert "libtorch.so" in library.needed
    assert library.exports == ()
    errors = [found for found in audit_wheel(wheel.path, load_tables()) if found.severity is Severity.ERROR]
    assert errors == []
    if importlib.util.find_spec("torch"):
        called = wheel.python(CALL)
        assert called.code == 0, called.output


def test_an_extension_in_mode_embed(project: Callable[[str], Project], tmp_path: Path) -> None:
    wheel = project("embed").wheel(tmp_path / "out")
    assert wheel.tag.startswith("py3-none-manylinux_2_")
    library = read_elf((wheel.root / "nv_embed/_C.so").read_bytes(), "_C.so")
    assert [str(image) for image in library_images(library)] == ["sm_80"]
    errors = [found for found in audit_wheel(wheel.path, load_tables()) if found.severity is Severity.ERROR]
    assert errors == []
    if importlib.util.find_spec("torch"):
        called = wheel.python(CALL.replace("nv_own", "nv_embed"))
        assert called.code == 0, called.output


def test_presets_of_the_project_and_of_gpuwheel(project: Callable[[str], Project], tmp_path: Path) -> None:
    own = project("embed")
    preset = {"name": "mine", "cacheVariables": {"MINE": "from the preset"}}
    (own.root / "CMakePresets.json").write_text(json.dumps({"version": 3, "configurePresets": [preset]}))
    own.replace("CMakeLists.txt", "find_package(GpuWheel", 'message(STATUS "mine ${MINE}")\nfind_package(GpuWheel')
    own.replace(
        "pyproject.toml", "[tool.gpuwheel]", '[tool.scikit-build]\ncmake.args = ["--preset=mine"]\n\n[tool.gpuwheel]'
    )
    built = own.build(tmp_path / "out")
    assert built.code == 0, built.output
    assert "mine from the preset" in built.output

    users = own.root / "CMakeUserPresets.json"
    users.write_text(json.dumps({"version": 4, "configurePresets": [{"name": "other"}, {"name": "gpuwheel"}]}))
    for _ in range(2):
        written = run([sys.executable, "-m", "gpuwheel", "presets", own.root], env={**os.environ, **own.environ})
        assert str(users) in written.stdout
        document = json.loads(users.read_text())
        assert [it["name"] for it in document["configurePresets"]] == ["other", "gpuwheel"]
        assert document["version"] == 4
    run(["cmake", "--preset", "gpuwheel"], cwd=own.root)
    run(["cmake", "--build", "--preset", "gpuwheel"], cwd=own.root)
    run(["cmake", "--install", "build/gpuwheel", "--prefix", tmp_path / "installed"], cwd=own.root)
    assert (own.root / "build/gpuwheel/compile_commands.json").is_file()
    library = tmp_path / "installed/platlib/nv_embed/_C.so"
    assert [str(image) for image in library_images(read_elf(library.read_bytes(), "_C.so"))] == ["sm_80"]


@pytest.mark.parametrize("held", [b"{", b"[]", b"{}"])
def test_a_presets_file_that_is_none_is_left_alone(project: Callable[[str], Project], held: bytes) -> None:
    own = project("embed")
    users = own.root / "CMakeUserPresets.json"
    users.write_bytes(held)
    words = [sys.executable, "-m", "gpuwheel", "presets", own.root]
    refused = run(words, env={**os.environ, **own.environ}, check=False)
    assert refused.returncode == 3
    assert "CMakeUserPresets.json" in refused.stderr
    assert "hint: " in refused.stderr
    assert users.read_bytes() == held


def test_presets_are_for_projects_with_cmake_of_their_own(project: Callable[[str], Project]) -> None:
    plain = project("plain")
    words = [sys.executable, "-m", "gpuwheel", "presets", plain.root]
    refused = run(words, env={**os.environ, **plain.environ}, check=False)
    assert "has no CMake project of its own" in refused.stderr


@pytest.mark.heavy
def test_the_oldest_cmake(project: Callable[[str], Project], tmp_path: Path) -> None:
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "cmake"), "cmake==3.26.*"])
    cmake = tmp_path / "cmake" / "cmake" / "data" / "bin" / "cmake"
    result = project("own").build(tmp_path / "out", CMAKE_EXECUTABLE=str(cmake))
    assert result.code == 0, result.output
    assert "CMake 3.26" in result.output


@pytest.mark.heavy
def test_kernels_are_compiled_once_for_several_builds(project: Callable[[str], Project], tmp_path: Path) -> None:
    own = project("own")
    own.wheel(tmp_path / "first")
    again = own.build(tmp_path / "second", {"gpuwheel.torch": ">=2.11"})
    assert again.code == 0, again.output
    assert "kernels.cu.o" not in again.output
    assert "ops.cpp.o" in again.output


@pytest.mark.heavy
def test_kernels_that_read_a_header_of_torch_are_refused(project: Callable[[str], Project], tmp_path: Path) -> None:
    own = project("own")
    (own.root / "csrc" / "torch").mkdir()
    (own.root / "csrc" / "torch" / "all.h").write_text("#pragma once\n", encoding="utf-8")
    own.replace("csrc/kernels.cu", '#include "kernels.h"', '#include "kernels.h"\n#include "torch/all.h"')
    result = own.build(tmp_path / "out")
    assert result.code == 8, result.output
    assert "device code reads" in result.output
    assert "csrc/torch/all.h" in result.output


def test_an_extension_that_pyproject_does_not_know(project: Callable[[str], Project], tmp_path: Path) -> None:
    own = project("own")
    own.replace("CMakeLists.txt", "nv_own._C SOURCES", "nv_own._D SOURCES")
    result = own.build(tmp_path / "out")
    assert result.code == 8, result.output
    assert "nv_own._D is not an extension" in result.output


def test_cmake_that_is_gone_is_replaced_and_device_code_stays(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    """Build isolation brings CMake into a new folder each time, and deletes it afterwards."""
    own, found = project("own"), importlib.util.find_spec("cmake")
    if found is None or found.origin is None:
        pytest.skip("CMake is not installed as a package")
    own.replace("csrc/kernels.cu", "\n", f"\n// {time.time_ns()}\n")  # what no cache has compiled
    package, logs = Path(found.origin).parent, []
    for name in ("first", "second"):
        for folder in (package, *package.parent.glob("cmake-*.dist-info")):
            shutil.copytree(folder, tmp_path / name / folder.name)
        code = f"from gpuwheel import backend; backend.build_editable({str(tmp_path)!r})"
        environ = {**os.environ, **own.environ, "PYTHONPATH": str(tmp_path / name)}
        logs.append(run([sys.executable, "-c", code], cwd=own.root, env=environ).output)
        shutil.rmtree(tmp_path / name)
    first, second = logs
    assert "Building CUDA object" in first
    assert "Building CUDA object" not in second
