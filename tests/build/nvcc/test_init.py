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
    name="nv-classic",
    version="1.0",
    packages=find_packages(),
    install_requires=["torch==2.13.*"],
    ext_modules=[
        CUDAExtension(
            "nv_classic._C",
            ["nv_classic/csrc/module.cpp", "nv_classic/csrc/scale.cu"],
            extra_compile_args={"cxx": ["-O3"], "nvcc": ["-O3", "-lineinfo", "-gencode", "arch=compute_80,code=sm_80"]},
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""

CALL = """
import torch
from nv_classic import scale
torch.testing.assert_close(scale(torch.arange(5.0), 3.0), torch.arange(5.0) * 3)
"""


def test_what_init_writes_builds_the_wheel(project: Callable[[str], Project], tmp_path: Path) -> None:
    classic = project("classic")
    (classic.root / "pyproject.toml").unlink()
    (classic.root / "csrc").rename(classic.root / "nv_classic" / "csrc")
    (classic.root / "setup.py").write_text(SETUP, encoding="utf-8")
    run([sys.executable, "-m", "gpuwheel", "init", classic.root], env={**os.environ, **classic.environ})
    wheel = classic.wheel(tmp_path / "out")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert wheel.tag.startswith(f"{python}-{python}-manylinux_2_")
    assert wheel.requirements == ["torch==2.13.*"]
    files = {path.relative_to(wheel.root).as_posix() for path in wheel.root.rglob("*") if path.is_file()}
    (library,) = (name for name in files if name.endswith(".so"))
    assert library.startswith("nv_classic/_C.cpython-")
    assert {name for name in files if ".dist-info/" not in name} == {
        library,
        "nv_classic/__init__.py",
        "nv_classic/_kernels.json",
    }
    if HAS_TORCH:
        called = wheel.python(CALL)
        assert called.code == 0, called.output
