"""`guard = true`: launches on a GPU without code are one clear error, and nothing else changes."""

from __future__ import annotations

import json
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
from gpuwheel.compatibility import load_tables
from gpuwheel.testing import FakeSettings, fake_gpu_environment
from gpuwheel.wheel import read_members

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
int plain_on(int device) { return static_cast<int>(cudaSetDevice(device)); }
int plain_last() { return static_cast<int>(cudaPeekAtLastError()); }
}
"""
LOADED = """
import ctypes, pathlib
library = ctypes.CDLL(str(next(pathlib.Path("nv_plain").glob("libplain*.so"))))
text = ctypes.create_string_buffer(1000)
"""
ON_ANOTHER_GPU = f"""{LOADED}
import os, sys
from gpuwheel.compatibility import load_tables
from gpuwheel.testing import FakeGpu
arch, words = sys.argv[1], sys.argv[2:]
assert library.plain_answer() == 42  # nothing of CUDA has begun: a process may fork
child = os.fork()
gpu = FakeGpu()
for device in (0, 1):
    assert library.plain_on(device) == 0
    for launch in (library.plain_twice, library.plain_clustered):
        assert launch(text) == -1, launch
        said = text.value.decode()
        for word in ("nv_plain.libplain", f"device {{device}} ", f"sm_{{arch.replace('.', '')}}", "sm_80", *words,
                     "a release of nv-plain", f'"{{arch}}" in `archs`'):
            assert word in said, (word, said)
        assert library.plain_last() == 0  # said once, and not again elsewhere
assert gpu.launches() == []
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the forked process"
"""
ON_ITS_GPU = f"""{LOADED}
import os
from gpuwheel.compatibility import load_tables
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
assert library.plain_twice(text) == 0 and library.plain_clustered(text) == 0, text.value
assert len(gpu.launches()) == 2
gpu.fail_next(700, "cudaLaunchKernel")
assert library.plain_twice(text) == 700  # any other error is the source's to find, as it was
gpu.fail_next(222, "cudaLaunchKernel")  # PTX that is newer than the driver
assert library.plain_twice(text) == -1
assert b"the driver is too old to compile its PTX: install a newer one" in text.value
child = os.fork()
if child == 0:  # CUDA does not work in a process that was forked after its first use: no matter of archs
    os._exit(0 if library.plain_twice(text) == 3 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
BENEATH_AN_OLD_DRIVER = f"""{LOADED}
assert library.plain_answer() == 42
assert library.plain_twice(text) == -1
said = text.value.decode()
for word in ("nv_plain.libplain", "CUDA 13.", "supports CUDA 12.4", "install a newer driver"):
    assert word in said, (word, said)
assert library.plain_last() == 0
"""
MACHINES = {
    # An older GPU, and newer ones.
    "rdc = true": [("7.5", []), ("9.0", []), ("12.0", [])],
    "": [("7.5", ["compute_80"])],
}
SERVED = {"rdc = true": ["8.0", "8.6"], "": ["8.6", "9.0", "12.0"]}
"""What machine code of the same major serves, or PTX."""


@pytest.mark.parametrize("relocatable", MACHINES)
def test_a_gpu_without_code_is_told_at_the_first_launch(
    project: Callable[[str], Project], tmp_path: Path, relocatable: str
) -> None:
    plain = project("plain")
    for path in (plain.root / "csrc").glob("*.cu"):
        path.unlink()
    (plain.root / "csrc" / "twice.cu").write_text(SOURCE, encoding="utf-8")
    plain.replace("pyproject.toml", 'libraries = ["cublasLt"]\n', "")
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    plain.replace("pyproject.toml", "rdc = true\n", f"{relocatable}\n")
    archs = '["8.0"]' if relocatable else '["8.0+PTX"]'
    plain.replace("pyproject.toml", '["8.0"]\n', f"{archs}\nwheel = {{guard = true}}\n")
    wheel = plain.wheel(tmp_path / "out")
    exports = read_elf((wheel.root / "nv_plain/libplain.so").read_bytes(), "libplain.so").exports
    assert set(exports) == {"plain_answer", "plain_twice", "plain_clustered", "plain_last", "plain_on"}
    without = wheel.python(f"{LOADED}assert library.plain_answer() == 42")
    assert without.code == 0, without.output
    for capability, words in MACHINES[relocatable]:
        on_the_fake(wheel.root, FakeSettings(2, capability), ON_ANOTHER_GPU, capability, *words)
    for capability in SERVED[relocatable]:
        on_the_fake(wheel.root, FakeSettings(1, capability), ON_ITS_GPU)
    on_the_fake(wheel.root, FakeSettings(1, "8.0", "12.4"), BENEATH_AN_OLD_DRIVER)
    names_its_runtime(wheel, tmp_path / "repaired")


def names_its_runtime(wheel: Wheel, out: Path) -> None:
    """That the bill of a library with the CUDA runtime linked in proves which one, and what compiled its code."""
    made = repaired(wheel.path, out, RepairRequest(graft=False, edits=EditsAsked(sbom=True)), load_tables()).path
    assert made is not None
    (bill,) = (one.data for name, one in read_members(made).items() if name.endswith("gpuwheel-repair.cdx.json"))
    found = {one["name"]: one for one in json.loads(bill)["components"] if "evidence" in one}
    assert found["cuda-toolkit"]["version"].startswith("13.")
    assert found["cuda-runtime (static)"]["version"].startswith("13.")
    (identity,) = found["cuda-runtime (static)"]["evidence"]["identity"]
    assert identity["confidence"] == 1
    assert "machine code of libcudart_static.a" in identity["methods"][0]["value"]


def on_the_fake(folder: Path, settings: FakeSettings, code: str, *words: str) -> None:
    environ = fake_gpu_environment(
        {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)},
        cache=Cache.from_environment(os.environ),
        site_packages=None,
        settings=settings,
    )
    seen = run([sys.executable, "-c", code, *words], env=environ, cwd=folder, check=False)
    assert seen.returncode == 0, f"{settings}: {seen.output}"
