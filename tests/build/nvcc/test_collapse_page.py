"""docs/how-to/collapse-an-existing-extension.md, typed: every command must print what the page says."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from transcript import Step, follow, read_steps

pytestmark = [pytest.mark.compiler, pytest.mark.network]

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "collapse-an-existing-extension.md"
SETUP = """\
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="my-ops",
    version="1.0",
    packages=["my_ops"],
    ext_modules=[CUDAExtension("my_ops._C", ["csrc/ops.cpp", "csrc/scale.cu"])],
    cmdclass={"build_ext": BuildExtension},
)
"""
KERNEL = """\
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>

__global__ void scale_kernel(const float* in, float* out, int64_t count, float factor) {
  int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x;
  if (i < count) out[i] = factor * in[i];
}

void scale_on_gpu(const float* in, float* out, int64_t count, float factor) {
  scale_kernel<<<(count + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(in, out, count, factor);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}
"""


@pytest.fixture
def page(tmp_path: Path) -> tuple[list[Step], dict[str, str]]:
    """The steps, and the variables they see; the project is in the folder."""
    steps = read_steps(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 8
    assert steps[0].command == "cat csrc/ops.cpp"
    files = {
        "setup.py": SETUP,
        "csrc/ops.cpp": f"{steps[0].output}\n",
        "csrc/scale.cu": KERNEL,
        "my_ops/__init__.py": "from my_ops._C import scale\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return steps, {**os.environ, "PATH": path, "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_what_is_said_before_anything_is_compiled(page: tuple[list[Step], dict[str, str]], tmp_path: Path) -> None:
    steps, environ = page
    compiled = next(number for number, step in enumerate(steps) if step.command.startswith("pip wheel"))
    follow(steps[:compiled], tmp_path, environ)


@pytest.mark.heavy
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="runs an operator")
def test_every_command_prints_what_the_page_says(page: tuple[list[Step], dict[str, str]], tmp_path: Path) -> None:
    follow(page[0], tmp_path, page[1])
