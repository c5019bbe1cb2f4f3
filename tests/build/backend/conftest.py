"""A small project with one kernel, and the ways in which people build one."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[3]

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tiny-ops"
version = "1.2.3"
description = "A project as small as they come"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
torch = ">=2.10"
archs = ["8.0", "9.0+PTX"]
dependencies = ["packaging>=24"]

[tool.gpuwheel.kernels.tiny]
sources = ["csrc/*.cu"]

[tool.gpuwheel.extensions."tiny_ops._C"]
sources = ["csrc/*.cpp"]
kernels = ["tiny"]
"""

KERNEL = """\
#include <gpuwheel/device.h>
#include "scale.h"

namespace tiny {
template <typename T>
__global__ void scale(T* out, const T* x, int64_t n, float factor) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) out[i] = scaled(x[i], factor);
}
GPUWHEEL_INSTANTIATE(scale<float>);
}  // namespace tiny
"""

OTHER_KERNEL = """\
#include <gpuwheel/device.h>

extern "C" __global__ void fill(float* out, long long n) {
  const long long i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = 1.0f;
}
"""

HEADER = """\
#pragma once
#include <gpuwheel/dtype.h>

namespace tiny {
template <typename T>
GPUWHEEL_HOST_DEVICE T scaled(T x, float factor) {
  return static_cast<T>(x * factor);
}
}  // namespace tiny
"""

HOST = """\
#include <gpuwheel/torch.h>
#include "scale.h"
#include "tiny.kernels.h"

using torch::stable::Tensor;

namespace {
Tensor scale_cpu(const Tensor& x_, double factor) {
  const Tensor x = torch::stable::contiguous(x_);
  Tensor out = torch::stable::empty_like(x);
  const float* from = x.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) to[i] = tiny::scaled(from[i], static_cast<float>(factor));
  return out;
}

Tensor scale_cuda(const Tensor& x_, double factor) {
  const Tensor x = torch::stable::contiguous(x_);
  Tensor out = torch::stable::empty_like(x);
  const int64_t n = x.numel();
  if (n == 0) return out;
  const gpuwheel::LaunchConfig config{(n + 255) / 256, 256, gpuwheel::current_stream(x)};
  tiny::scale<float>.launch(config, out.mutable_data_ptr<float>(), x.const_data_ptr<float>(), n,
                            static_cast<float>(factor));
  return out;
}
}  // namespace

STABLE_TORCH_LIBRARY(tiny_ops, m) { m.def("scale(Tensor x, float factor) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(tiny_ops, CPU, m) { m.impl("scale", TORCH_BOX(&scale_cpu)); }
STABLE_TORCH_LIBRARY_IMPL(tiny_ops, CUDA, m) { m.impl("scale", TORCH_BOX(&scale_cuda)); }
"""

INIT = '''\
"""One operator."""

import importlib.util

import torch

torch.ops.load_library(importlib.util.find_spec("tiny_ops._C").origin)
scale = torch.ops.tiny_ops.scale
'''

FILES = {
    "pyproject.toml": PYPROJECT,
    "README.md": "tiny\n",
    "csrc/scale.cu": KERNEL,
    "csrc/fill.cu": OTHER_KERNEL,
    "csrc/scale.h": HEADER,
    "csrc/ops.cpp": HOST,
    "tiny_ops/__init__.py": INIT,
}


@dataclass(frozen=True)
class Result:
    """How a hook ended."""

    code: int
    output: str

    @property
    def value(self) -> str:
        """What the hook returned."""
        return self.output.rstrip().rpartition("\n")[2].removeprefix("HOOK RETURNED ")


@dataclass(frozen=True)
class Project:
    """A project on disk."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        self.write(path, text.replace(old, new))

    def hook(self, name: str, *arguments: object, python: str | Path = sys.executable, **environ: str) -> Result:
        """Call a PEP 517 hook as a frontend does: its own process, the project's folder, no isolation."""
        words = ", ".join(repr(str(a) if isinstance(a, Path) else a) for a in arguments)
        code = f"from gpuwheel import backend; print('HOOK RETURNED', backend.{name}({words}))"
        done = subprocess.run(  # noqa: TID251 (a frontend, not gpuwheel)
            [python, "-c", code],
            cwd=self.root,
            env={**os.environ, **self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def wheel(self, out: Path, settings: Mapping[str, str] | None = None, **environ: str) -> Path:
        """Build a wheel, which must succeed."""
        out.mkdir(parents=True, exist_ok=True)
        result = self.hook("build_wheel", out, dict(settings or {}), **environ)
        assert result.code == 0, result.output
        return out / result.value


@pytest.fixture
def make_project(tmp_path: Path, cache: Path) -> Callable[..., Project]:
    """Write the small project into a folder of its own."""

    def make(name: str = "project", **files: str) -> Project:
        project = Project(tmp_path / name, {"GPUWHEEL_CACHE_DIR": str(cache)})
        for path, text in {**FILES, **files}.items():
            project.write(path, text)
        return project

    return make


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """The small project."""
    return make_project()


@pytest.fixture(scope="session")
def gpuwheel_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gpuwheel itself as a wheel, for builds in isolation."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(  # noqa: TID251 (pip, not gpuwheel)
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = out.glob("gpuwheel-*.whl")
    return wheel


@pytest.fixture
def fresh_cache(cache: Path, tmp_path: Path) -> Path:
    """A cache without compiled images, that shares what was downloaded."""
    shared, fresh = cache / "v1", tmp_path / "fresh-cache" / "v1"
    fresh.mkdir(parents=True)
    for kind in ("sdk", "toolchains"):
        (shared / kind).mkdir(parents=True, exist_ok=True)
        (fresh / kind).symlink_to(shared / kind)
    return fresh.parent


@dataclass(frozen=True)
class Environment:
    """A virtual environment that also sees the packages of this one (torch, CMake, gpuwheel)."""

    python: Path

    def run(self, *arguments: str | Path, cwd: Path | None = None, **environ: str) -> Result:
        done = subprocess.run(  # noqa: TID251 (a user's command)
            [self.python, *arguments],
            cwd=cwd,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def pip(self, *arguments: str | Path, **environ: str) -> Result:
        result = self.run("-m", "pip", *arguments, **environ)
        assert result.code == 0, result.output
        return result


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    venv.create(tmp_path / "venv", with_pip=True)
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    # Not plain paths: the .pth files in there (an editable gpuwheel) must count too.
    lines = [f"import site; site.addsitedir({path!r})" for path in ours]
    (site_packages / "outer.pth").write_text("\n".join(lines), encoding="utf-8")
    return Environment(tmp_path / "venv" / "bin" / "python")
