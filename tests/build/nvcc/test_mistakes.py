"""What is refused before anything is compiled, through the hook, with real toolkits and compilers."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

COMPILED = "Configuring CMake"


def test_a_host_compiler_that_nvcc_does_not_take(project: Callable[[str], Project], tmp_path: Path) -> None:
    real = shutil.which("g++") or "g++"
    shim = tmp_path / "g++-99"
    text = f'#!/bin/sh\nexec {real} -U__GNUC__ -D__GNUC__=99 "$@"\n'
    shim.write_text(text, encoding="utf-8")
    shim.chmod(0o755)
    result = project("stable").build(tmp_path / "out", CXX=str(shim))
    assert result.code == 5, result.output
    assert "nvcc of CUDA 13.0 does not take gcc 99" in result.output
    assert "expected gcc up to 15" in result.output
    assert COMPILED not in result.output


def test_an_architecture_that_the_toolkit_does_not_know(project: Callable[[str], Project], tmp_path: Path) -> None:
    result = project("stable").build(tmp_path / "out", {"gpuwheel.archs": "7.0"})
    assert result.code == 4, result.output
    assert "archs names 7.0, which cuda 13.0 does not compile for" in result.output


def test_a_torch_of_another_cuda_major(project: Callable[[str], Project], tmp_path: Path) -> None:
    result = project("exact").build(tmp_path / "out", {"gpuwheel.torch": "==2.10.*"})
    assert result.code == 4, result.output
    assert "torch 2.10 has CUDA 12.8, of another major than the project's 13.0" in result.output


def test_a_source_that_includes_what_its_extension_does_without(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    stable = project("stable")
    stable.replace("csrc/ops.cpp", "#include <cmath>", "#include <cmath>\n#include <torch/extension.h>")
    result = stable.build(tmp_path / "out")
    assert result.code == 4, result.output
    assert "csrc/ops.cpp:3 includes torch/extension.h of torch's C++ ABI" in result.output
    assert 'abi = "exact"' in result.output


@pytest.fixture
def mixed(cache: Path, tmp_path: Path) -> Path:
    """nvcc 13.0 beside the runtime of 13.5, as an installer leaves them when only nvcc is pinned."""
    row = load_tables().cuda[MinorVersion(13, 0)]
    context = Context(Cache(cache), {}, SilentReporter())
    whole = find_cuda_toolkit(row, context=context).root
    root = tmp_path / "site-packages" / "nvidia" / "cu13"
    root.mkdir(parents=True)
    for entry in whole.iterdir():
        (root / entry.name).symlink_to(entry)
    (root / "include").unlink()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "newer")]
    run([*pip, "nvidia-cuda-runtime==13.5.37"])
    (root / "include").symlink_to(tmp_path / "newer" / "nvidia" / "cu13" / "include")
    return root


def test_a_toolkit_of_parts_that_do_not_belong_together(
    project: Callable[[str], Project], mixed: Path, tmp_path: Path
) -> None:
    result = project("stable").build(tmp_path / "out", CUDA_HOME=str(mixed))
    assert result.code == 5, result.output
    assert "mixes releases" in result.output
    assert "cuda.h 13.5" in result.output
    assert COMPILED not in result.output
