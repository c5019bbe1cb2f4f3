"""`gpuwheel dev` with sources for nvcc, and with a CMake project of the user's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

SOURCE = """\
__global__ void NAME_kernel(int* x) { *x = 1; }
extern "C" void NAME() { NAME_kernel<<<1, 1>>>(nullptr); }
"""
GPUWHEEL = Path(sys.executable).with_name("gpuwheel")


def dev(project: Project) -> str:
    done = run(GPUWHEEL, "dev", "--arch", "8.0", cwd=project.root, **project.environ)
    assert done.code == 0, done.output
    return done.output


def test_one_changed_source_is_compiled(project: Callable[[str], Project]) -> None:
    plain = project("plain")
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    (plain.root / "csrc" / "hopper.cu").unlink()
    plain.replace("pyproject.toml", 'rdc = true\nlibraries = ["cublasLt"]\n', "")
    for source in (plain.root / "csrc").iterdir():
        source.unlink()
    for name in ("first", "second"):
        (plain.root / "csrc" / f"{name}.cu").write_text(SOURCE.replace("NAME", name), encoding="utf-8")
    assert "built nv_plain/_kernels.json, nv_plain/libplain.so" in dev(plain)
    assert "nothing changed" in dev(plain)
    plain.replace("csrc/first.cu", "*x = 1", "*x = 2")
    log = dev(plain)
    assert log.count("Building CUDA object") == 1
    assert "built nv_plain/libplain.so" in log
    commands = json.loads((plain.root / "compile_commands.json").read_bytes())
    assert {Path(entry["file"]).name for entry in commands} == {"first.cu", "second.cu"}


def test_a_cmake_project_of_ones_own(project: Callable[[str], Project]) -> None:
    own = project("own")
    assert "nv_own/_C.so" in dev(own)
    assert "nothing changed" in dev(own)
    own.replace("csrc/ops.cpp", "* static_cast<float>(factor)", "* (static_cast<float>(factor) + 0.5f)")
    assert "built nv_own/_C.so" in dev(own)
