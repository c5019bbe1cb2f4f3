"""`gpuwheel init`, and the wheel of what it wrote."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

HAS_TORCH = importlib.util.find_spec("torch") is not None

SETUP = """\
from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="nv-exact",
    version="1.0",
    packages=find_packages(),
    install_requires=["torch==2.13.*"],
    ext_modules=[
        CUDAExtension(
            "nv_exact._C",
            ["nv_exact/csrc/ops.cpp", "nv_exact/csrc/scale.cu"],
            extra_compile_args={"cxx": ["-O3"], "nvcc": ["-O3", "-lineinfo", "-gencode", "arch=compute_80,code=sm_80"]},
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""

CALL = """
import torch
from nv_exact import scale
torch.testing.assert_close(scale(torch.arange(5.0), 3.0), torch.arange(5.0) * 3)
"""


def test_what_init_writes_builds_the_wheel(project: Callable[[str], Project], tmp_path: Path) -> None:
    exact = project("exact")
    (exact.root / "pyproject.toml").unlink()
    (exact.root / "csrc").rename(exact.root / "nv_exact" / "csrc")
    (exact.root / "setup.py").write_text(SETUP, encoding="utf-8")
    run([sys.executable, "-m", "gpuwheel", "init", exact.root], env={**os.environ, **exact.environ})
    wheel = exact.wheel(tmp_path / "out")
    assert wheel.tag.startswith("py3-none-manylinux_2_")
    assert wheel.requirements == ["torch==2.13.*"]
    files = {path.relative_to(wheel.root).as_posix() for path in wheel.root.rglob("*") if path.is_file()}
    assert {name for name in files if ".dist-info/" not in name} == {
        "nv_exact/_C.so",
        "nv_exact/__init__.py",
        "nv_exact/_kernels.json",
    }
    if HAS_TORCH:
        called = wheel.python(CALL)
        assert called.code == 0, called.output
