"""`gpuwheel dev` with sources for nvcc, and with a CMake project of the user's own."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

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
    words = [GPUWHEEL, "dev", "--arch", "8.0"]
    return run(words, cwd=project.root, env={**os.environ, **project.environ}).output


@pytest.fixture
def pair(project: Callable[[str], Project]) -> Project:
    """A project of two sources, and nothing else."""
    plain = project("plain")
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    (plain.root / "csrc" / "hopper.cu").unlink()
    plain.replace("pyproject.toml", 'rdc = true\nlibraries = ["cublasLt"]\n', "")
    for source in (plain.root / "csrc").iterdir():
        source.unlink()
    for name in ("first", "second"):
        (plain.root / "csrc" / f"{name}.cu").write_text(SOURCE.replace("NAME", name), encoding="utf-8")
    return plain


def test_one_changed_source_is_compiled(pair: Project) -> None:
    assert "built nv_plain/_kernels.json, nv_plain/libplain.so" in dev(pair)
    assert "nothing changed" in dev(pair)
    pair.replace("csrc/first.cu", "*x = 1", "*x = 2")
    log = dev(pair)
    assert log.count("Building CUDA object") == 1
    assert "built nv_plain/libplain.so" in log
    commands = json.loads((pair.root / "compile_commands.json").read_bytes())
    assert {Path(entry["file"]).name for entry in commands} == {"first.cu", "second.cu"}


def test_an_editable_install_compiles_what_changed_whichever_folder_cmake_works_in(
    pair: Project, tmp_path: Path
) -> None:
    """In isolation CMake is another program each time and identifies every compiler anew: no folder of it serves."""
    pair.replace("csrc/first.cu", "*x = 1", f"*x = {time.time_ns() % 10**9}")  # objects that no cache has
    pair.replace("csrc/second.cu", "*x = 1", f"*x = {time.time_ns() % 10**9 + 1}")
    code = f"from gpuwheel import backend; backend.build_editable({str(tmp_path)!r})"

    def install(project: Project) -> str:
        return run([sys.executable, "-c", code], cwd=project.root, env={**os.environ, **project.environ}).output

    assert install(pair).count("Building CUDA object") == 2
    elsewhere = replace(pair, root=tmp_path / "elsewhere")
    shutil.copytree(pair.root, elsewhere.root)
    elsewhere.replace("csrc/first.cu", "*x = ", "*x = 3 * ")
    assert install(elsewhere).count("Building CUDA object") == 1
    assert "libraries are taken from the cache" in install(elsewhere)
    assert (elsewhere.root / "nv_plain" / "libplain.so").is_file()


def test_a_cmake_project_of_ones_own(project: Callable[[str], Project]) -> None:
    own = project("own")
    assert "nv_own/_C.so" in dev(own)
    assert "nothing changed" in dev(own)
    own.replace("csrc/ops.cpp", "* static_cast<float>(factor)", "* (static_cast<float>(factor) + 0.5f)")
    assert "built nv_own/_C.so" in dev(own)
