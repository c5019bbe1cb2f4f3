"""A CUDA build of torch imports on stubs, and sees the pretend GPU."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import pytest

from gpuwheel.testing.environment import FakeSettings
from gpuwheel.testing.native_code import find_c_compiler
from gpuwheel.testing.stubs import write_stubs

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Torch

pytestmark = [pytest.mark.network, pytest.mark.compiler, pytest.mark.slow]

ON_STUBS = """
import torch
assert torch.version.cuda and not torch.cuda.is_available()
x = torch.randn(4, 8)
assert torch.equal(torch.relu(x), x.clamp(min=0))
try:
    x.cuda()
except (RuntimeError, AssertionError) as error:
    print("no GPU:", error)
"""

ON_THE_FAKE = """
import threading, torch
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
assert torch.cuda.is_available() and torch.cuda.device_count() == 2 == gpu.devices
facts = torch.cuda.get_device_properties(1)
assert (facts.major, facts.minor, facts.multi_processor_count, facts.warp_size) == (8, 6, 132, 32), facts

x = torch.randn(6, 64)
on_gpu = x.to("cuda:1")
assert torch.equal(on_gpu.cpu(), x)
assert gpu.device_of(on_gpu.data_ptr()) == 1 and gpu.device_of(x.data_ptr()) is None
assert bytes(gpu.memory(on_gpu.data_ptr(), 4)) == x.numpy().tobytes()[:4]
assert torch.empty(4, device="cuda").cpu().isnan().all(), "what nothing wrote must be seen"
assert torch.cuda.current_device() == 0

stream = torch.cuda.Stream()
start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
with torch.cuda.stream(stream):
    start.record()
    torch.empty(8, device="cuda").fill_(1.0)
    end.record()
end.synchronize()
assert start.elapsed_time(end) >= 0
launch = gpu.launches()[-1]
assert launch.through_runtime and launch.stream == stream.cuda_stream and launch.parameters is None, launch
torch.cuda.synchronize()

gpu.clear()
assert gpu.launches() == [] and gpu.calls("cudaMalloc") == 0
gpu.fail_next(2, "cudaMalloc", times=2)  # torch frees its cache and tries again
try:
    torch.empty(1 << 28, device="cuda")
except torch.OutOfMemoryError as error:
    print("out of memory:", str(error)[:19])
else:
    raise AssertionError("no error")
try:
    torch.empty(1 << 36, device="cuda")
except torch.OutOfMemoryError:
    print("16 GiB are not enough")

graph = torch.cuda.CUDAGraph()
y = torch.empty(8, device="cuda")
with torch.cuda.graph(graph):
    y.fill_(2.0)
before = len(gpu.launches())
graph.replay()
graph.replay()
print("replayed", len(gpu.launches()) - before)

for profile, words in ((torch.autograd.profiler.profile, {}), (torch.profiler.profile, {"acc_events": True})):
    with profile(**words) as profiled:  # without acc_events, torch warns that it is not set
        (torch.ones(4) * 2).to("cuda").fill_(1.0)
    assert any(event.key == "aten::mul" for event in profiled.key_averages())
print("profiled")
"""

PLUGIN = """
import threading
def test_sees_the_pretend_gpu(fake_gpu):
    import torch
    assert torch.cuda.device_count() == 3 and torch.cuda.get_device_capability() == (10, 0)
    torch.empty(4, device="cuda").fill_(1.0)
    assert len(fake_gpu.launches()) == 1
def test_starts_clear(fake_gpu):
    assert fake_gpu.launches() == []
"""


def test_it_imports_on_stubs_and_has_no_gpu(torch: Torch, tmp_path: Path) -> None:
    stubs = write_stubs(torch.site_packages, tmp_path, find_c_compiler(torch.environ))
    assert sum(stub.stat().st_size for stub in stubs) < 1_000_000
    assert not list(tmp_path.glob("libcuda.so*"))
    for library, name in (("cublas", "cublasGetStatusString"), ("cublasLt", "cublasLtMatmulDescInit_internal")):
        (stub,) = tmp_path.glob(f"lib{library}.so.*")
        assert hasattr(ctypes.CDLL(str(stub)), name)  # which torch does not ask for, and extensions do
    assert {path.suffix for path in tmp_path.iterdir()}.isdisjoint({".c", ".map"})
    out = torch.run("-W", "error", "-c", ON_STUBS, LD_LIBRARY_PATH=str(tmp_path))
    assert out.stdout.startswith("no GPU: ")
    assert "version information" not in out.stderr


def test_it_sees_devices_memory_streams_events_and_graphs(torch: Torch) -> None:
    environ = torch.fake_environment(FakeSettings(devices=2, capability="8.6"))
    out = torch.run("-W", "error", "-c", ON_THE_FAKE, **environ)
    assert out.stdout.splitlines() == [
        "out of memory: CUDA out of memory.",
        "16 GiB are not enough",
        "replayed 2",
        "profiled",
    ]


def test_the_plugin_starts_pytest_again_with_the_gpu(torch: Torch, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(PLUGIN)
    (tmp_path / "conftest.py").write_text("import torch\n")  # would not import without the stubs
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # none of a folder above
    words = ("-m", "pytest", "-p", "gpuwheel.testing.plugin", "--fake-gpu", "--fake-gpu-devices", "3")
    out = torch.run(*words, "--fake-gpu-record", "--fake-gpu-capability=10.0", "-q", "-W", "error", cwd=tmp_path)
    assert "2 passed" in out.stdout


def test_python_m_run_gives_any_command_the_gpu(torch: Torch) -> None:
    command = ("-m", "gpuwheel.testing", "run", "--devices", "2", "--", str(torch.python), "-c")
    out = torch.run(*command, "import torch; print(torch.cuda.device_count())")
    assert out.stdout == "2\n"
