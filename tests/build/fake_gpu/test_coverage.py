"""Counts that the pretend driver keeps of what it executes, in each process of a run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.testing.coverage.coverage_counts import read_coverage
from gpuwheel.testing.coverage.covered_run import COVERAGE
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.compiler

PTX = """.version 7.0
.target sm_80
.address_size 64
.file 1 "a.cu"
.visible .entry used() {
.reg .pred %p<2>; .reg .b32 %r<3>;
.loc 1 2 1
mov.u32 %r1, %tid.x;
setp.gt.u32 %p1, %r1, 2;
.loc 1 3 1
@%p1 bra L;
.loc 1 4 1
mov.u32 %r2, 7;
L:
.loc 1 5 1
ret;
}
.visible .entry unused() {
.loc 1 9 1
ret;
}
"""
LAUNCH = """
import ctypes, os, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, library, kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
assert cuda.cuInit(0) == cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == cuda.cuCtxSetCurrent(context) == 0
text = (ctypes.c_uint64 * 1024).from_buffer(bytearray(open(sys.argv[1], "rb").read().ljust(8192, b"\\0")))
assert cuda.cuLibraryLoadData(ctypes.byref(library), text, None, None, 0, None, None, 0) == 0
assert cuda.cuLibraryGetKernel(ctypes.byref(kernel), library, b"used") == 0
for _ in range(2):
    assert cuda.cuLaunchKernel(kernel, 3, 1, 1, 8, 1, 1, 0, None, None, None) == 0
os._exit(0)  # as processes of tests end that were forked
"""


SUITE = """
import subprocess, sys, pytest

@pytest.mark.parametrize("number", range(2))
def test_it(number):
    subprocess.run([sys.executable, "launch.py", "a.ptx"], check=True)
"""


@pytest.fixture
def environ() -> dict[str, str]:
    return fake_gpu_environment(
        os.environ,
        cache=Cache.from_environment(os.environ),
        site_packages=None,
        settings=FakeSettings(devices=1, execute=True),
    )


def test_counts_are_kept_however_a_process_ends(tmp_path: Path, environ: dict[str, str]) -> None:
    counts, text = tmp_path / "counts", tmp_path / "a.ptx"
    counts.mkdir()
    text.write_text(PTX)
    for _ in range(2):
        run([sys.executable, "-c", LAUNCH, text], env={**environ, COVERAGE: str(counts)})
    found = read_coverage(counts)
    assert [(kernel.symbol, kernel.launches, kernel.executed) for kernel in found.kernels] == [
        ("unused", 0, 0),
        ("used", 4, 5),
    ]
    assert found.files == {"a.cu": {2: 96, 3: 96, 4: 36, 5: 96, 9: 0}}
    run([sys.executable, "-c", LAUNCH, text], env=environ)  # without it, nothing is written
    assert len(list(counts.iterdir())) == 3


def test_pytest_tells_what_its_processes_covered(tmp_path: Path, environ: dict[str, str]) -> None:
    for name, text in {"a.ptx": PTX, "launch.py": LAUNCH, "test_it.py": SUITE, "a.cu": "\n" * 10}.items():
        (tmp_path / name).write_text(text)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    words += ["--rootdir", str(tmp_path), "--fake-gpu-coverage", "out"]
    done = run([*words, "-n", "1"], cwd=tmp_path, env={**environ, "TMPDIR": str(tmp_path)})
    assert "device code: 1 of 2 kernels were launched, 4 of 5 lines executed (80 %)" in done.stdout
    assert "  a.cu   80 %  never: 9" in done.stdout
    assert "DA:4,36" in (tmp_path / "out" / "lcov.info").read_text()
    assert not list(tmp_path.glob("gpuwheel-coverage-*"))


def test_pytest_covers_nothing_that_is_not_executed(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pytest", "--fake-gpu-coverage", "out"]
    done = run(words, cwd=tmp_path, check=False)
    assert "--fake-gpu-coverage needs --fake-gpu" in done.output


def test_any_command_tells_what_its_processes_covered(tmp_path: Path) -> None:
    for name, text in {"a.ptx": PTX, "launch.py": LAUNCH, "a.cu": "\n" * 10}.items():
        (tmp_path / name).write_text(text)
    words = [sys.executable, "-m", "gpuwheel.testing", "run", "--no-torch", "--coverage", "out"]
    done = run([*words, "--", sys.executable, "launch.py", "a.ptx"], cwd=tmp_path)
    assert "device code: 1 of 2 kernels were launched, 4 of 5 lines executed (80 %)" in done.stderr
    assert (tmp_path / "out" / "index.html").is_file()
    refused = run([*words, "--record", "--", sys.executable], cwd=tmp_path, check=False)
    assert "--coverage tells what was executed" in refused.stderr
