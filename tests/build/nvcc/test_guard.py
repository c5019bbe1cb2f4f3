"""`guard = true`: launches on a GPU without code are one clear error, and nothing else changes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpuwheel
from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.binary.elf import read_elf
from gpuwheel.testing import FakeSettings, fake_gpu_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project, Wheel

pytestmark = [pytest.mark.compiler, pytest.mark.network]

SOURCE = """\
#include <cstring>
#include <exception>
namespace {
__global__ void twice(float* x) { *x *= 2; }
template <typename Launch> int told(char* text, Launch launch) {
  try { return launch(); } catch (const std::exception& error) { std::strcpy(text, error.what()); return -1; }
}
}  // namespace
extern "C" {
int plain_answer() { return 42; }
int plain_twice(char* text) {
  return told(text, [] { twice<<<1, 1>>>(nullptr); return static_cast<int>(cudaGetLastError()); });
}
int plain_clustered(char* text) {
  return told(text, [] {
    cudaLaunchConfig_t config{};
    config.gridDim = config.blockDim = dim3(1, 1, 1);
    return static_cast<int>(cudaLaunchKernelEx(&config, twice, static_cast<float*>(nullptr)));
  });
}
int plain_last() { return static_cast<int>(cudaPeekAtLastError()); }
}
"""
LOADED = """
import ctypes, pathlib
library = ctypes.CDLL(str(next(pathlib.Path("nv_plain").glob("libplain*.so"))))
text = ctypes.create_string_buffer(1000)
"""
ON_AN_OLDER_GPU = f"""{LOADED}
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
assert library.plain_answer() == 42 and gpu.launches() == []
for launch in (library.plain_twice, library.plain_clustered):
    assert launch(text) == -1, launch
    said = text.value.decode()
    for word in ("nv_plain.libplain", "device 0", "sm_75", "sm_80", "a release of nv-plain", '"7.5" in `archs`'):
        assert word in said, said
    assert library.plain_last() == 0  # said once, and not again elsewhere
assert gpu.launches() == []
"""
ON_ITS_GPU = f"""{LOADED}
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
assert library.plain_twice(text) == 0 and library.plain_clustered(text) == 0, text.value
assert len(gpu.launches()) == 2
gpu.fail_next(700, "cudaLaunchKernel")
assert library.plain_twice(text) == 700  # any other error is the source's to find, as it was
"""


@pytest.mark.parametrize("relocatable", ["rdc = true\n", ""])
def test_a_gpu_without_code_is_told_at_the_first_launch(
    project: Callable[[str], Project], tmp_path: Path, relocatable: str
) -> None:
    plain = project("plain")
    for path in (plain.root / "csrc").glob("*.cu"):
        path.unlink()
    (plain.root / "csrc" / "twice.cu").write_text(SOURCE, encoding="utf-8")
    plain.replace("pyproject.toml", 'libraries = ["cublasLt"]\n', "")
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    plain.replace("pyproject.toml", "rdc = true\n", relocatable)
    plain.replace("pyproject.toml", '["8.0"]\n', '["8.0"]\nwheel = {guard = true}\n')
    wheel = plain.wheel(tmp_path / "out")
    exports = read_elf((wheel.root / "nv_plain/libplain.so").read_bytes(), "libplain.so").exports
    assert set(exports) == {"plain_answer", "plain_twice", "plain_clustered", "plain_last"}
    without = wheel.python(f"{LOADED}assert library.plain_answer() == 42")
    assert without.code == 0, without.output
    for capability, code in (("7.5", ON_AN_OLDER_GPU), ("8.6", ON_ITS_GPU)):
        on_the_fake(wheel, capability, code)


def on_the_fake(wheel: Wheel, capability: str, code: str) -> None:
    environ = fake_gpu_environment(
        {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)},
        cache=Cache.from_environment(os.environ),
        site_packages=None,
        settings=FakeSettings(devices=1, capability=capability),
    )
    seen = run([sys.executable, "-c", code], env=environ, cwd=wheel.root, check=False)
    assert seen.returncode == 0, seen.output
