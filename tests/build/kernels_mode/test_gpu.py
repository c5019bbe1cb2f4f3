"""The operator of a wheel without host code on a GPU, against float64. Needs a CUDA build of torch and cuda-core."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

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


def test_values_streams_and_graphs(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("cuda.core", reason="cuda-core is not installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ON_A_GPU}"
    done = subprocess.run(  # noqa: TID251 (a user's program)
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("tiny.cu")
