"""Operators of wheels without host code on a GPU, against float64. Needs a CUDA build of torch and cuda-core."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.torch, pytest.mark.gpu]

ON_A_GPU = """
import torch, tiny_ops
from tiny_ops import _kernels

for dtype in (torch.float32, torch.float16):
    for shape in ((1,), (1000,), (3, 257), (0, 4)):
        x = torch.randn(shape, device="cuda", dtype=dtype, requires_grad=True)
        y = tiny_ops.scale(x, 2.5)
        torch.testing.assert_close(y.double(), x.detach().double() * 2.5, rtol=2 * torch.finfo(dtype).eps, atol=0)
        y.sum().backward()
        assert (x.grad == 2.5).all()
torch.library.opcheck(tiny_ops.scale, (torch.randn(4, 5, device="cuda"), 2.0))

x = torch.randn(1000, device="cuda")
expected = [x * k for k in range(8)]
streams = [torch.cuda.Stream() for _ in expected]
torch.cuda.synchronize()
found = []
for k, stream in enumerate(streams):
    with torch.cuda.stream(stream):
        found.append(tiny_ops.scale(x, float(k)))
torch.cuda.synchronize()
assert all(torch.equal(one, other) for one, other in zip(found, expected))

_kernels.preload()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    captured = tiny_ops.scale(x, 3.0)
x.fill_(2.0)
graph.replay()
assert (captured == 6.0).all()
print(_kernels._kernel_scale_float.image.loaded.file)
"""


TILES_ON_A_GPU = """
import torch, tile_ops
from tile_ops import _kernels

for dtype in (torch.float16, torch.bfloat16):
    for rows, columns, depth in ((1, 8, 8), (128, 64, 32), (200, 96, 64), (1000, 520, 1032), (3, 16, 4000), (0, 8, 8)):
        x = torch.randn(rows, depth, device="cuda", dtype=dtype)
        weight = torch.randn(depth, columns, device="cuda", dtype=dtype) / depth**0.5
        bias = torch.randn(columns, device="cuda", dtype=dtype)
        exact = torch.nn.functional.gelu(x.double() @ weight.double() + bias.double(), approximate="tanh")
        found = tile_ops.linear_gelu(x, weight, bias)
        tolerance = 4 * torch.finfo(dtype).eps
        torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)

numbers = torch.empty(256, device="cuda")
half = torch.tensor(0.1, dtype=torch.float16).item()
_kernels.every_number(numbers, -5, 1.5, -(2**40), 2.5, half, 255, True, grid=2)
exact = torch.full((256,), -5 + 1.5 - 2.0**40 + 2.5 + half + 255 + 1, dtype=torch.float64)
torch.testing.assert_close(numbers.cpu().double(), exact, rtol=1e-6, atol=0)

x, weight = torch.randn(64, 64, device="cuda").half(), torch.randn(64, 64, device="cuda").half()
bias = torch.zeros(64, device="cuda").half()
expected = tile_ops.linear_gelu(x, weight, bias)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    captured = tile_ops.linear_gelu(x, weight, bias)
captured.zero_()
graph.replay()
assert torch.equal(captured, expected)
print(_kernels._kernel_every_number.image.loaded.file)
"""


def on_the_gpu(wheel: Path, folder: Path, program: str) -> str:
    """What the program prints that sees the wheel's files."""
    pytest.importorskip("cuda.core", reason="cuda-core is not installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    done = subprocess.run(  # noqa: TID251 (a user's program)
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_values_streams_and_graphs(wheel: Path, tmp_path: Path) -> None:
    assert on_the_gpu(wheel, tmp_path, ON_A_GPU).startswith("tiny.cu")


def test_cutile(tile_project: Project, tmp_path: Path) -> None:
    """Compiled for the GPU of this machine: code of cuTile runs on one compute capability."""
    torch = pytest.importorskip("torch")
    device = torch.cuda.get_device_capability()
    archs = load_tables().cuda[MinorVersion(13, 4)].cutile_archs
    arch = next((str(arch) for arch in archs if (arch.major, arch.minor) == device), None)
    if arch is None:
        pytest.skip(f"cuTile does not compile for {device}")
    out = tmp_path / "out"
    wheel = out / tile_project.hook("build_wheel", out, GPUWHEEL_ARCHS=arch)
    assert on_the_gpu(wheel, tmp_path / "site", TILES_ON_A_GPU) == "tiles.fatbin\n"
