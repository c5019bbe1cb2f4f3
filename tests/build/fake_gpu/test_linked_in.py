"""Libraries with NVIDIA's runtime linked in, as nvcc makes them: the pretend GPU sees what the file itself launches."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import Completed, run
from gpuwheel.binary.elf import Elf
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.testing import require
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
from gpuwheel.testing.runtimes import static_runtimes
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit

if TYPE_CHECKING:
    from gpuwheel.model.toolchain import CudaToolchain

pytestmark = [pytest.mark.network, pytest.mark.compiler]

SOURCE = Path(__file__).with_name("linked_in.cu")
CALLS = """
import ctypes, sys
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
library = ctypes.CDLL(sys.argv[1])
library.launch.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_float, ctypes.c_void_p] + [ctypes.c_int] * 3
library.launch_large.argtypes = [ctypes.c_void_p, ctypes.c_int]
launch = lambda grid=1, block=32, shared=0, stream=None: library.launch(None, 1, 1.0, stream, grid, block, shared)
"""
LAUNCHES = f"""{CALLS}
assert library.launch(0x1000, 7, 2.5, None, 3, 128, 16) == 0
(seen,) = gpu.launches()
assert (seen.name, seen.grid, seen.block, seen.shared_bytes, seen.stream) == ("scale", (3, 1, 1), (128, 1, 1), 16, 0)
assert seen.arguments("Pqf") == (0x1000, 7, 2.5) and not seen.through_runtime
assert library.launch_large(None, 100 << 10) == library.launch_cooperative(None, 4) == library.launch_cluster(None) == 0
large, cooperative, cluster = gpu.launches()[1:]
assert (large.name, large.shared_bytes) == ("large<double>", 100 << 10)
assert cooperative.cooperative and cluster.cluster == (2, 1, 1)
gpu.clear()
assert library.launch_nested(None) == 0
seen = [(launch.grid, launch.block, launch.shared_bytes) for launch in gpu.launches()]
assert seen == [((2, 3, 1), (32, 2, 1), 8)] * 2 + [((5, 7, 1), (64, 1, 1), 24)], seen
gpu.clear()
assert library.captured(None) == 0 and [launch.name for launch in gpu.launches()] == ["scale", "scale"]
ran = []
gpu.implement("scale", lambda launch: ran.append(launch.arguments("Pqf")))
assert launch() == 0 and ran == [(0, 1, 1.0)]
for function in ("devices_and_memory", "occupancy", *sys.argv[2:]):
    assert getattr(library, function)() == 0, (function, getattr(library, function)())
gpu.clear()
assert (launch(block=0), launch(grid=0), launch(block=2048)) == (9, 9, 9)  # cudaErrorInvalidConfiguration
assert (launch(shared=100_000), launch(stream=0x77)) == (1, 400)
assert (library.launch_large(None, 1 << 20), library.launch_cooperative(None, 100_000)) == (1, 720)
gpu.fail_next(2, "cudaLaunchKernel")
assert launch() == 2 and gpu.launches() == []
assert library.not_there() == 801
"""


@dataclass(frozen=True)
class LinkedIn:
    """What of CUDA the tests compile with, and the object that they link."""

    cuda: CudaToolchain
    object: Path

    def library(self, archive: Path, output: Path) -> Path:
        """A shared library with the runtime of that archive, and without a table of symbols."""
        compiler = os.environ.get("CXX", "c++").split()[0]
        run([compiler, "-shared", "-s", "-o", output, self.object, archive, "-ldl", "-lrt", "-lpthread"])
        assert ".symtab" not in Elf(output.read_bytes()).sections
        return output


@pytest.fixture(scope="module")
def linked_in(tmp_path_factory: pytest.TempPathFactory) -> LinkedIn:
    if os.uname().machine != "x86_64":
        require("x86_64", "the table is of its archives")
    context = Context(Cache.from_environment(os.environ), {"PATH": os.environ["PATH"]}, SilentReporter())
    cuda = find_cuda_toolkit(load_tables().cuda[MinorVersion(13, 0)], context=context, system_roots=())
    compiled = tmp_path_factory.mktemp("linked-in") / "linked_in.o"
    run([cuda.nvcc, "-arch=sm_80", "-Xcompiler=-fPIC", "-c", SOURCE, "-o", compiled])
    return LinkedIn(cuda, compiled)


@pytest.fixture(scope="module")
def library(linked_in: LinkedIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = next((linked_in.cuda.root / "lib64").glob("libcudart_static.a"))
    return linked_in.library(archive, tmp_path_factory.mktemp("library") / "liblinked_in.so")


def pretend(code: str, library: Path, *words: str, also: tuple[Path, ...] = (), **settings: str) -> Completed:
    """Run Python where there are two pretend GPUs."""
    chosen = FakeSettings(2, **settings)
    cache = Cache.from_environment(os.environ)
    environ = fake_gpu_environment(os.environ, cache=cache, site_packages=None, settings=chosen, also=also)
    return run([sys.executable, "-c", code, library, *words], env=environ)


def test_what_such_a_library_does_is_seen_and_checked(library: Path) -> None:
    done = pretend(LAUNCHES, library, "properties")
    assert "the pretend GPU has no cudaMallocArray: cudaErrorNotSupported" in done.stderr


def test_a_library_with_a_shared_runtime_is_seen_and_checked_as_well(linked_in: LinkedIn, tmp_path: Path) -> None:
    runtime = next((linked_in.cuda.root / "lib64").glob("libcudart.so.13"))
    # A name such as torch's own libraries have, whose parameters nobody reads.
    shared = linked_in.library(runtime, tmp_path / "libtorch_ext.so")
    done = pretend(LAUNCHES, shared, "properties", also=(shared,))
    assert "the pretend GPU has no cudaMallocArray: cudaErrorNotSupported" in done.stderr


@pytest.mark.parametrize("name", ["libcustom_ops.so", "libnvdiff.so.1", "libcuda.so", "libc10_ops.so"])
def test_an_extension_with_a_name_like_theirs_is_seen(library: Path, tmp_path: Path, name: str) -> None:
    renamed = shutil.copyfile(library, tmp_path / name)
    pretend(f"{CALLS}\nassert launch() == 0 and gpu.launches()[0].arguments('Pqf') == (0, 1, 1.0)", renamed)


@pytest.mark.parametrize("name", ["libcublasLt.so.13", "libcublasLt-1a2b3c4d.so.13.0.1", "libtorch_cuda.so"])
def test_nvidias_own_and_torchs_are_left_as_they_are(library: Path, tmp_path: Path, name: str) -> None:
    renamed = shutil.copyfile(library, tmp_path / name)
    done = pretend(f"{CALLS}\nassert launch() != 0 and gpu.launches() == []", renamed)
    assert "gpuwheel" not in done.stderr


def test_a_device_that_no_image_is_for_is_an_error_of_the_launch(library: Path) -> None:
    pretend(f"{CALLS}\nassert launch() == 209 and gpu.launches() == []", library, capability="7.5")


def test_an_old_driver_is_refused_and_named(library: Path) -> None:
    done = pretend(f"{CALLS}\nassert launch() == 35 and gpu.launches() == []", library, driver="12.8")
    assert (
        "a CUDA 13 runtime that is linked in needs a driver for CUDA 13.0, the pretend one is for 12.8" in done.stderr
    )


def test_a_runtime_that_the_table_lacks_is_named(library: Path, tmp_path: Path) -> None:
    data = bytearray(library.read_bytes())
    (row,) = (row for row in static_runtimes() if row.version == "13.0.48")
    at = data.index(row.run)
    data[at] ^= 0xFF
    unknown = tmp_path / "libunknown.so"
    unknown.write_bytes(data)
    done = pretend(f"{CALLS}\nassert launch() != 0 and gpu.launches() == []", unknown)
    assert f"{unknown} has a CUDA runtime linked in that the pretend GPU does not know" in done.stderr


def test_a_program_is_seen_as_well(linked_in: LinkedIn, tmp_path: Path) -> None:
    main = tmp_path / "main.cpp"
    main.write_text('extern "C" int occupancy(); int main() { return occupancy(); }\n')
    program = tmp_path / "program"
    run([linked_in.cuda.nvcc, main, linked_in.object, "-o", program])
    cache = Cache.from_environment(os.environ)
    environ = fake_gpu_environment(os.environ, cache=cache, site_packages=None)
    assert subprocess.run([program], env=environ, check=False).returncode == 0  # noqa: TID251 - its status is the result


@pytest.mark.heavy
@pytest.mark.parametrize("wheel", [wheel for row in static_runtimes() for wheel in row.wheels])
def test_every_release_of_the_table(linked_in: LinkedIn, wheel: str, tmp_path: Path) -> None:
    name, version = wheel.split("-")[:2]
    words = ("download", "--quiet", "--no-deps", "--dest", tmp_path, f"{name.replace('_', '-')}=={version}")
    run([sys.executable, "-m", "pip", *words])
    archive = tmp_path / "libcudart_static.a"
    with zipfile.ZipFile(tmp_path / wheel) as opened:
        member = next(name for name in opened.namelist() if name.endswith(f"/{archive.name}"))
        with opened.open(member) as source, archive.open("wb") as target:
            shutil.copyfileobj(source, target)
    library = linked_in.library(archive, tmp_path / "liblinked_in.so")
    # cudaDeviceProp is that of the headers, CUDA 13's; the other structures are the same.
    pretend(LAUNCHES, library, *(["properties"] if version.startswith("13.") else []), driver="13.5")
