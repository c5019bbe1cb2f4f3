"""A project without host code: one kernel, one operator in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pytest
from cutile_project import FILES as TILE_FILES
from cutile_project import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    MakeProject: TypeAlias = "Callable[[Path, Mapping[str, str]], Project]"

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tiny-ops"
version = "1.2.3"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
torch = ">=2.10"
archs = ["9.0"]

[tool.gpuwheel.kernels.tiny]
sources = ["csrc/*.cu"]

[tool.gpuwheel.extensions."tiny_ops._kernels"]
mode = "kernels"
kernels = ["tiny"]
toolkits = ["13.2"]
"""

KERNEL = """\
#include <gpuwheel/device.h>

namespace tiny {
// out[i] = x[i] * factor, for i below n.
template <typename T>
__global__ void scale(T* __restrict__ out, const T* __restrict__ x, int64_t n, float factor) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) out[i] = static_cast<T>(static_cast<float>(x[i]) * factor);
}
GPUWHEEL_INSTANTIATE(scale<float>);
GPUWHEEL_INSTANTIATE(scale<__half>);
}  // namespace tiny
"""

EVERY_TYPE = """\
#include <cuda_bf16.h>
#include <cuda_fp16.h>

enum class Mode : int { one, two };
__global__ void every_type(void* anything, bool on, signed char a, unsigned short b, int c, unsigned d, long long e,
                           unsigned long long f, float g, double h, __half i, __nv_bfloat16 j, Mode mode) {
  if (on) *static_cast<double*>(anything) = a + b + c + d + e + f + g + h + float(i) + float(j) + int(mode);
}
"""

STATIC_SHARED = """\
// Half of the shared memory that a kernel has without asking is taken by this array.
__global__ void static_shared(float* out) {
  __shared__ float values[6 * 1024];
  extern __shared__ float more[];
  values[threadIdx.x] = more[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = values[31 - threadIdx.x];
}
"""

OPERATORS = '''\
"""One operator."""

import torch

from tiny_ops import _kernels

_by_dtype = {torch.float32: _kernels.scale_float, torch.float16: _kernels.scale_half}
_operators = _kernels.Operators("tiny_ops")


def _cuda(x, factor):
    x = x.contiguous()
    out = torch.empty_like(x)
    if x.numel():
        _by_dtype[x.dtype](out, x, x.numel(), factor, grid=-(-x.numel() // 256), block=256)
    return out


def _setup_context(ctx, inputs, output):
    ctx.factor = inputs[1]


scale = _operators.register(
    "scale(Tensor x, float factor) -> Tensor",
    cuda=_cuda,
    cpu=lambda x, factor: x.contiguous() * factor,
    fake=lambda x, factor: torch.empty_like(x, memory_format=torch.contiguous_format),
    backward=lambda ctx, grad: (scale(grad, ctx.factor), None),
    setup_context=_setup_context,
)
'''

FILES = {
    "pyproject.toml": PYPROJECT,
    "csrc/scale.cu": KERNEL,
    "csrc/every_type.cu": EVERY_TYPE,
    "csrc/static_shared.cu": STATIC_SHARED,
    "tiny_ops/__init__.py": OPERATORS,
}


@dataclass(frozen=True)
class Project:
    """The project on disk."""

    root: Path

    def hook(self, name: str, *arguments: Path, **environ: str) -> str:
        """Call a hook of the backend, as a frontend does; what it returns. There is no compiler for the host."""
        for folder in arguments:
            folder.mkdir(parents=True, exist_ok=True)
        code = f"from gpuwheel import backend; print(); print(backend.{name}(*{[str(path) for path in arguments]!r}))"
        done = subprocess.run(  # noqa: TID251 (a frontend, not gpuwheel)
            [sys.executable, "-c", code],
            cwd=self.root,
            env={**os.environ, "CXX": "/nonexistent/c++", "CC": "/nonexistent/cc", **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.rstrip().rpartition("\n")[2]


@pytest.fixture(scope="session")
def make_project() -> MakeProject:
    """A project of these files, in this folder."""
    return lambda root, files: Project(written(root, files))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(written(tmp_path_factory.mktemp("kernels") / "project", FILES))


@pytest.fixture(scope="session")
def wheel(project: Project) -> Path:
    out = project.root.parent / "out"
    return out / project.hook("build_wheel", out)


@pytest.fixture(scope="session")
def tile_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(written(tmp_path_factory.mktemp("tiles") / "project", TILE_FILES))


@pytest.fixture(scope="session")
def tile_wheel(tile_project: Project) -> Path:
    out = tile_project.root.parent / "out"
    return out / tile_project.hook("build_wheel", out)
