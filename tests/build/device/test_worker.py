"""The worker uses the pinned NVRTC whatever surrounds it, and says so when it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import venv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpuwheel
from gpuwheel._run import run
from gpuwheel.errors import ToolchainError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from conftest import Project

    from gpuwheel.model.toolchain import DeviceCompiler

pytestmark = pytest.mark.network

KERNEL = "__global__ void k(int* p) { p[0] = __CUDACC_VER_MINOR__; }\n"
SCRIPT = """
import os
import sys
from pathlib import Path
from gpuwheel._cache import Cache
from gpuwheel.compile.device.kernel_group import compile_group
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import KernelGroup
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.toolchain import DeviceCompiler
from gpuwheel.model.versions import MinorVersion
root, path, nvrtc, nvfatbin, *include = map(Path, sys.argv[1:])
found = (MinorVersion(12, 9), (), (path,), nvrtc, nvfatbin, tuple(include), "digest", "the test")
compiler = DeviceCompiler(*found, environ=os.environ)
sources = tuple(sorted(root.glob("*.cu")))
group = KernelGroup("fused", sources, (), (), (), "c++17", (Arch(8, 0),), (), False, (), root)
compile_group(group, compiler, cache=Cache(root / "cache"), out=root / "out", reporter=SilentReporter(), jobs=1)
"""


def _command(python: Path | str, project: Project, compiler: DeviceCompiler) -> list[str | Path]:
    return [
        python, "-c", SCRIPT, project.root, compiler.python_path[0], compiler.nvrtc, compiler.nvfatbin,
        *compiler.include_dirs,
    ]  # fmt: skip


@pytest.mark.slow
def test_an_environment_with_another_nvrtc_still_compiles_with_the_pin(
    project: Project, compiler: DeviceCompiler, tmp_path: Path
) -> None:
    if len(compiler.python_path) != 1:
        pytest.skip("the compiler is spread over several folders here")
    venv.create(tmp_path / "outer", with_pip=True)
    python = tmp_path / "outer" / "bin" / "python"
    outer = ["cuda-bindings==12.8.*", "nvidia-cuda-nvrtc-cu12==12.8.93", "filelock", "platformdirs", "packaging"]
    run([python, "-m", "pip", "install", "-q", *outer])
    project.write(
        k_cu="#if __CUDACC_VER_MAJOR__ != 12 || __CUDACC_VER_MINOR__ != 9\n#error other NVRTC\n#endif\n" + KERNEL
    )
    (library,) = tmp_path.glob("outer/lib/python*/site-packages/nvidia/cuda_nvrtc/lib")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(gpuwheel.__file__).parents[1]),
        "LD_LIBRARY_PATH": str(library),
        "NVRTC_APPEND_FLAGS": "--this-must-not-be-read",
    }
    run(_command(python, project, compiler), env=environment)
    assert (project.root / "out" / "fused.fatbin").exists()


def test_another_version_than_the_pinned_is_refused(project: Project) -> None:
    project.write(k_cu=KERNEL)
    project.compiler = replace(project.compiler, cuda=MinorVersion(12, 8))
    with pytest.raises(ToolchainError, match=r"is NVRTC 12\.9 \(expected 12\.8\)"):
        project.build()


def test_a_missing_library_is_named(project: Project, tmp_path: Path) -> None:
    project.write(k_cu=KERNEL)
    project.compiler = replace(project.compiler, nvfatbin=tmp_path / "libnvfatbin.so.12")
    with pytest.raises(ToolchainError, match=r"libnvfatbin\.so\.12: cannot open shared object file"):
        project.build()


def test_an_interrupt_ends_the_worker_and_leaves_nothing(project: Project, compiler: DeviceCompiler) -> None:
    if len(compiler.python_path) != 1:
        pytest.skip("the compiler is spread over several folders here")
    slow = "#include <cub/cub.cuh>\n__global__ void k{0}(int* p) {{ *p = {0}; }}\n"
    for index in range(8):
        project.write(**{f"k{index}_cu": slow.format(index)})
    environment = {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parents[1])}
    with subprocess.Popen(
        _command(sys.executable, project, compiler), env=environment, stderr=subprocess.PIPE
    ) as build:
        deadline = time.monotonic() + 60
        while not (workers := _children(build.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        build.send_signal(signal.SIGINT)
        build.communicate(timeout=30)
    assert build.returncode != 0
    assert workers
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not (project.root / "out").exists()
    assert not list((project.root / "cache" / "v1" / "tmp").glob("scratch-*"))


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]
