"""A library whose images were taken out and compressed by `gpuwheel repair`: what launches, launches still."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpuwheel
from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.audit.repair import EditsAsked, RepairRequest, repaired
from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.fatbin import library_images
from gpuwheel.compatibility import load_tables
from gpuwheel.testing import FakeSettings, fake_gpu_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.heavy]

SOURCE = """\
__global__ void twice(float* x, int n) { if (threadIdx.x < n) x[threadIdx.x] *= 2; }
extern "C" int plain_twice(float* x, int n) {
  twice<<<1, 32>>>(x, n);
  return static_cast<int>(cudaGetLastError());
}
"""
CALL = """
import ctypes, pathlib, sys
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
library = ctypes.CDLL(str(next(pathlib.Path("nv_plain").glob("libplain*.so"))))
assert library.plain_twice(None, 7) == int(sys.argv[1])
assert [launch.name for launch in gpu.launches()] == (["twice"] if sys.argv[1] == "0" else [])
"""


def test_what_is_left_is_launched_and_what_is_gone_is_not(project: Callable[[str], Project], tmp_path: Path) -> None:
    plain = project("plain")
    for path in (plain.root / "csrc").glob("*.cu"):
        path.unlink()
    (plain.root / "csrc" / "twice.cu").write_text(SOURCE, encoding="utf-8")
    plain.replace("pyproject.toml", 'libraries = ["cublasLt"]\n', 'nvcc-flags = ["-Xfatbinary=-compress=false"]\n')
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    plain.replace("pyproject.toml", '["8.0"]\n', '["8.0", "8.6", "9.0"]\n')
    built = plain.wheel(tmp_path / "out")
    edits = EditsAsked(compress=True, strip=True, drop=("sm_86", "sm_90"), allow_holes=True)
    result = repaired(built.path, tmp_path / "mended", RepairRequest(edits=edits, graft=False), load_tables())
    assert result.path is not None
    run([sys.executable, "-m", "zipfile", "-e", result.path, tmp_path / "installed"])
    library = tmp_path / "installed" / "nv_plain" / "libplain.so"
    images = library_images(read_elf(library.read_bytes(), library.name))
    assert {(str(image), image.codec) for image in images} == {("sm_80", "zstd")}
    for capability, expected in (("8.0", 0), ("8.6", 0), ("9.0", 209)):
        environ = fake_gpu_environment(
            {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)},
            cache=Cache.from_environment(os.environ),
            site_packages=None,
            settings=FakeSettings(devices=1, capability=capability),
        )
        words = [sys.executable, "-c", CALL, str(expected)]
        seen = run(words, env=environ, cwd=tmp_path / "installed", check=False)
        assert seen.returncode == 0, seen.output
