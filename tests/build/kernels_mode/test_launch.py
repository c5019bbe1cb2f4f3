"""Generated launchers on the pretend GPU: the real cuda-core, beside CUDA builds of torch for CUDA 12 and 13."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpuwheel
from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
from gpuwheel.testing.torch_environments import torch_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [pytest.mark.network, pytest.mark.compiler, pytest.mark.slow]

LAUNCHES = """
import ctypes, sys, threading, time
import torch, tiny_ops
from gpuwheel.testing import FakeGpu
from tiny_ops import _kernels as k

assert "cuda.core" not in sys.modules
gpu = FakeGpu()
x = torch.randn(1000, device="cuda:1")
gpu.clear()
y = tiny_ops.scale(x, 2.5)
(launch,) = gpu.launches("scale")
assert launch.name == "tiny::scale<float>", launch
assert (launch.device, launch.grid, launch.block, launch.stream) == (1, (4, 1, 1), (256, 1, 1), 0), launch
assert launch.arguments("PPqf") == (y.data_ptr(), x.data_ptr(), 1000, 2.5)
assert torch.cuda.current_device() == 0

half = torch.randn(8, device="cuda", dtype=torch.float16)
stream = torch.cuda.Stream()
with torch.cuda.stream(stream):
    k.scale_half(None, half, 8, 1.0, grid=(2, 3), block=(8, 4, 2), shared_bytes=100_000)
launch = gpu.launches("__half")[-1]
assert (launch.stream, launch.shared_bytes) == (stream.cuda_stream, 100_000), launch
assert (launch.grid, launch.block) == ((2, 3, 1), (8, 4, 2))
assert launch.arguments("PPqf")[0] == 0

k.every_type(half, True, -5, 65535, -2**31, 2**32 - 1, -2**63, 2**64 - 1, 1.5, 2.5, 0.1, 3.140625, 1, grid=1, block=1)
launch = gpu.launches("every_type")[-1]
found = launch.arguments("P?bHiIqQfdeHI")
assert found[1:10] == (True, -5, 65535, -2**31, 2**32 - 1, -2**63, 2**64 - 1, 1.5, 2.5), found
assert abs(found[10] - 0.1) < 1e-4 and found[11] == 0x4049 and found[12] == 1, found

# What is too large for a 16-bit float becomes an infinity, as in C++.
k.every_type(half, True, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 65520.0, 1e39, 1, grid=1, block=1)
k.every_type(half, True, 0, 0, 0, 0, 0, 0, 0.0, 0.0, -1e300, -1e300, 1, grid=1, block=1)
k.every_type(half, True, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 65519.0, 3.39e38, 1, grid=1, block=1)
found = [launch.arguments("P?bHiIqQfdHHI")[10:12] for launch in gpu.launches("every_type")[-3:]]
assert found == [(0x7C00, 0x7F80), (0xFC00, 0xFF80), (0x7BFF, 0x7F7F)], [list(map(hex, pair)) for pair in found]

# Two threads raise the limit of dynamic shared memory: the one that asks for less must not lower it.
driver = ctypes.CDLL("libcuda.so.1")
driver.gpuwheel_fake_slow(b"cuKernelSetAttribute", 300)
sizes = [threading.Thread(target=k.scale_float, args=(y, x, 1, 1.0), kwargs=dict(grid=1, block=32, shared_bytes=size))
         for size in (100_000, 60_000)]
for thread in sizes:
    thread.start()
    time.sleep(0.1)
for thread in sizes: thread.join()
k.scale_float(y, x, 1, 1.0, grid=1, block=32, shared_bytes=100_000)
# 48 KB are the most of static and dynamic shared memory together that need not be asked for.
k.static_shared(y, grid=1, block=32, shared_bytes=40_000)
assert gpu.launches("static_shared")[-1].shared_bytes == 40_000

gpu.clear()
for _ in range(3):
    tiny_ops.scale(x, 2.0)
assert gpu.calls("cuLibraryLoadData") == 0, "images are loaded once"
gpu.implement("scaleIf", lambda launch: None)

failures = []
def work():
    try:
        k.scale_float(y, x, 1000, 2.0, grid=1, block=32)
    except BaseException as error:
        failures.append(error)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert failures == [], failures


def refused(kind, text, *arguments, **options):
    try:
        k.scale_float(*arguments, **{"grid": 1, "block": 32, **options})
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)


refused(ValueError, "scale_float: x is on cpu, cuda:1 is expected", y, x.cpu(), 1000, 2.0)
refused(ValueError, "scale_float: x is on cuda:0, cuda:1 is expected", y, x.to("cuda:0"), 1000, 2.0)
refused(TypeError, "scale_float: x has dtype torch.float16, torch.float32 is expected", y, x.half(), 1000, 2.0)
refused(OverflowError, "does not fit the kernel's parameter", y, x, 2**63, 2.0)
refused(TypeError, "'float' object cannot be interpreted as an integer", y, x, 1000.0, 2.0)
refused(RuntimeError, "tiny::scale<float> on device 1: CUDA_ERROR_INVALID_VALUE", y, x, 1, 2.0, block=5000)
refused(RuntimeError, "(tiny/scale has sm_90)", y, x, 1, 2.0, block=5000)
refused(RuntimeError, "bytes of dynamic shared memory are too many", y, x, 1, 2.0, shared_bytes=1_000_000)
k.preload()
loaded = k._kernel_scale_float.image.loaded
assert loaded.file == f"tiny.cu{'13.2' if torch.version.cuda.startswith('13') else '12.9'}.fatbin", loaded
assert sys.modules["cuda.bindings"].__version__.startswith(torch.version.cuda.partition(".")[0])
print("ok")
"""

UNSERVED = """
import sys, torch
from tiny_ops import _kernels as k
x = torch.ones(8, device="cuda:1")
try:
    k.scale_float(x, x, 8, 2.0, grid=1, block=32)
except RuntimeError as error:
    said = str(error)
for word in ("tiny::scale<float> on device 1: ", "NO_BINARY_FOR_GPU", "has sm_90", "device 1 is sm_80",
             f"the driver supports CUDA {sys.argv[1]}: install a release of tiny_ops for this GPU", '"8.0" in `archs`'):
    assert word in said, (word, said)
print("ok")
"""

FORK = """
import ctypes, os, sys, threading, time, warnings
import torch, tiny_ops
from gpuwheel.testing import FakeGpu
from tiny_ops import _kernels as k

warnings.simplefilter("ignore")  # that a process with threads is forked
x = torch.ones(8, device="cuda") if sys.argv[2] == "torch first" else None
cuda, gpu = ctypes.CDLL("libcuda.so.1"), FakeGpu()
slow = sys.argv[1]
cuda.gpuwheel_fake_slow(slow.encode(), 700)
launch = lambda: k.static_shared(x, grid=1, block=32, shared_bytes=40_000)
other = threading.Thread(target=launch)
before = gpu.calls(slow)
other.start()
while gpu.calls(slow) == before:
    time.sleep(0.001)
child = os.fork()
if child == 0:
    code = 1
    try:
        launch()
    except RuntimeError as error:
        code = 0 if "CUDA was used before this process was forked" in str(error) else 2
    finally:
        os._exit(code)
deadline = time.monotonic() + 5
while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
    time.sleep(0.01)
if done == (0, 0):
    os.kill(child, 9)
other.join()
launch()
print("ok" if done == (child, 0) else done)
"""

TILE_LAUNCHES = """
import torch, tile_ops
from gpuwheel.testing import FakeGpu
from tile_ops import _kernels as k

gpu = FakeGpu()
x, weight = torch.randn(200, 64, device="cuda").half(), torch.randn(64, 96, device="cuda").half()
bias = torch.randn(96, device="cuda").half()
gpu.clear()
out = tile_ops.linear_gelu(x, weight, bias)
(launch,) = gpu.launches("linear_gelu_half")
assert (launch.grid, launch.block, launch.shared_bytes, launch.stream) == ((2, 2, 1), (1, 1, 1), 0, 0), launch
# The calling convention cutile_python_v2: address, lengths, strides; and no constant.
assert launch.arguments("PiiiiPiiiiPiiPiiii") == (
    *(x.data_ptr(), 200, 64, 64, 1),
    *(weight.data_ptr(), 64, 96, 96, 1),
    *(bias.data_ptr(), 96, 1),
    *(out.data_ptr(), 200, 96, 96, 1),
)

vector = torch.empty(128, device="cuda:1")
k.every_number(vector, -5, 1.5, -2**40, 2.5, 0.1, 255, True, grid=1)
launch = gpu.launches("every_number")[-1]
assert launch.device == 1
found = launch.arguments("PqqifqdHB?")
assert found[:7] == (vector.data_ptr(), 128, 1, -5, 1.5, -2**40, 2.5) and found[8:] == (255, True), found


def refused(kind, text, **wrong):
    arguments = {"x": x, "weight": weight, "bias": bias, "out": out, **wrong}
    try:
        k.linear_gelu_half(**arguments, grid=1)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)


name = "linear_gelu_half"
refused(ValueError, f"{name}: x has stride 1 in dimension 0, a multiple of 8 is expected", x=x.t())
refused(ValueError, f"{name}: x has stride 2 in dimension 1, 1 is expected", x=torch.cat([x, x], 1)[:, ::2])
refused(ValueError, f"{name}: bias begins at an address that 16 does not divide", bias=bias[1:])
refused(ValueError, f"{name}: bias has 2 dimensions, 1 are expected", bias=bias[None])
refused(ValueError, f"{name}: x is expanded along dimension 0", x=x[:1].expand(200, 64))
refused(TypeError, f"{name}: out has dtype torch.float32, torch.float16 is expected", out=out.float())
refused(ValueError, f"{name}: out is on cpu, cuda:0 is expected", out=out.cpu())
one = torch.empty_strided((200, 1), (8, 3), dtype=torch.float16, device="cuda")
k.linear_gelu_half(one, weight, bias, out, grid=1)
assert gpu.launches(name)[-1].arguments("PiiiiPiiiiPiiPiiii")[1:5] == (200, 1, 8, 1), "a stride that is never used"
print("ok")
"""

TOO_OLD = """
import torch
from tile_ops import _kernels as k
try:
    k.preload()
except RuntimeError as error:
    assert str(error).startswith("kernels of tiles/every_number need a driver for CUDA 13.0 or newer"), error
    assert "this one is for CUDA 12.8" in str(error), error
    print("ok")
"""

TORCHES = {"2.15.0": "13.0", "2.10.0": "12.8"}
"""Release -> CUDA version of a driver that it works with."""


@pytest.fixture(params=TORCHES)
def python(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """The interpreter of a CUDA build of torch, and the driver to pretend."""
    return torch_environment(request.param, environ=os.environ), TORCHES[request.param]


def environment(python: Path, driver: str, *paths: Path, capability: str = "9.0") -> Mapping[str, str]:
    """A process that sees a pretend GPU, gpuwheel.testing and `paths`."""
    site_packages = next((python.parent.parent / "lib").glob("python3.*")) / "site-packages"
    shown = [*paths, Path(gpuwheel.__file__).parent.parent]
    environ = {key: value for key, value in os.environ.items() if key not in {"LD_PRELOAD", "PYTHONPATH"}}
    return fake_gpu_environment(
        {**environ, "PYTHONPATH": os.pathsep.join(map(str, shown))},
        cache=Cache.from_environment(os.environ),
        site_packages=site_packages,
        settings=FakeSettings(devices=2, capability=capability, driver=driver),
    )


def cuda_core(driver: str, folder: Path) -> Path:
    """cuda-core with the bindings of the CUDA major that torch has, as torch's own requirement brings them."""
    packages = ("cuda-core>=1,<2", f"cuda-bindings=={driver.partition('.')[0]}.*")
    target = (
        "--target",
        folder,
        "--python-version",
        "3.11",
        "--only-binary",
        ":all:",
    )  # the Python of the environments
    run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *target, *packages])
    return folder


def unpacked(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_launches_and_a_gpu_without_code(wheel: Path, python: tuple[Path, str], tmp_path: Path) -> None:
    program, driver = python
    site = unpacked(wheel, tmp_path / "site")
    core = cuda_core(driver, tmp_path / "cuda-core")
    for code, capability in ((LAUNCHES, "9.0"), (UNSERVED, "8.0")):
        shown = environment(program, driver, site, core, capability=capability)
        done = run([program, "-W", "error", "-c", code, driver], env=shown, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.output


@pytest.mark.parametrize(
    "words", [("cuInit", "no torch"), ("cuLibraryLoadData", "torch first"), ("cuKernelSetAttribute", "torch first")]
)
def test_a_fork_during_the_first_launch_of_another_thread_is_one_clear_error(
    wheel: Path, tmp_path: Path, words: tuple[str, str]
) -> None:
    python, driver = torch_environment("2.15.0", environ=os.environ), TORCHES["2.15.0"]
    site, core = unpacked(wheel, tmp_path / "site"), cuda_core(driver, tmp_path / "cuda-core")
    done = run([python, "-c", FORK, *words], env=environment(python, driver, site, core), check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.output


@pytest.mark.parametrize(("release", "program"), [("2.15.0", TILE_LAUNCHES), ("2.10.0", TOO_OLD)])
def test_cutile_launches(tile_wheel: Path, tmp_path: Path, release: str, program: str) -> None:
    """As the launcher of cuda.tile itself passes the same arguments (compared by hand, on the same pretend GPU)."""
    python, driver = torch_environment(release, environ=os.environ), TORCHES[release]
    site = unpacked(tile_wheel, tmp_path / "site")
    core = cuda_core(driver, tmp_path / "cuda-core")
    done = run([python, "-W", "error", "-c", program], env=environment(python, driver, site, core), check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.output
