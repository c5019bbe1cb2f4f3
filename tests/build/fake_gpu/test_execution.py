"""Kernels run on the pretend GPU: what a library of mode nvcc launches executes the PTX inside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import Completed, run
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit

pytestmark = [pytest.mark.network, pytest.mark.compiler]

SOURCE = Path(__file__).with_name("executed.cu")
START = """
import ctypes, json, sys, threading
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
library = ctypes.CDLL(sys.argv[1])
"""


def build(folder: Path, *options: str) -> Path:
    context = Context(Cache.from_environment(os.environ), {"PATH": os.environ["PATH"]}, SilentReporter())
    cuda = find_cuda_toolkit(load_tables().cuda[MinorVersion(13, 0)], context=context, system_roots=())
    archive = next((cuda.root / "lib64").glob("libcudart_static.a"))
    compiled, library = folder / "executed.o", folder / "libexecuted.so"
    run([cuda.nvcc, *options, "-lineinfo", "-Xcompiler=-fPIC", "-c", SOURCE, "-o", compiled])
    compiler = os.environ.get("CXX", "c++").split()[0]
    run([compiler, "-shared", "-s", "-o", library, compiled, archive, "-ldl", "-lrt", "-lpthread"])
    return library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("executed"), "-gencode=arch=compute_80,code=[sm_80,compute_80]")


def execute(code: str, library: Path, **settings: object) -> Completed:
    chosen = FakeSettings(devices=2, execute=True, **settings)  # type: ignore[arg-type]
    cache = Cache.from_environment(os.environ)
    environ = fake_gpu_environment(os.environ, cache=cache, site_packages=None, settings=chosen)
    return run([sys.executable, "-c", START + code, library], env=environ)


def test_kernels_variables_and_graphs_give_their_values(library: Path) -> None:
    done = execute(
        """
assert library.values() == 0, library.values()
assert library.variables() == 0
assert library.graphs() == 0
assert library.prints() == 0
threads = [threading.Thread(target=lambda: results.append(library.values())) for _ in range(4)]
results = []
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert results == [0] * 4
print(gpu.reports())
""",
        library,
    )
    assert done.stdout == "7 of device code\n[]\n", done.output
