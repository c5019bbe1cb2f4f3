"""CUDA builds of torch, old and new, on a machine without a GPU and without NVIDIA's libraries."""

from __future__ import annotations

import os
from dataclasses import dataclass
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

    from gpuwheel._run import Completed


@dataclass(frozen=True)
class Torch:
    """One torch, and what a child process needs to use it."""

    python: Path
    environ: Mapping[str, str]

    @property
    def site_packages(self) -> Path:
        return next((self.python.parent.parent / "lib").glob("python3.*")) / "site-packages"

    def run(self, *words: str | Path, check: bool = True, cwd: Path | None = None, **environ: str) -> Completed:
        return run([self.python, *words], env={**self.environ, **environ}, check=check, cwd=cwd)

    def fake_environment(self, settings: FakeSettings) -> dict[str, str]:
        cache = Cache.from_environment(os.environ)
        return fake_gpu_environment(self.environ, cache=cache, site_packages=self.site_packages, settings=settings)


@pytest.fixture(scope="session", params=["2.10.0", "2.15.0"])
def torch(request: pytest.FixtureRequest) -> Torch:
    python = torch_environment(request.param, environ=os.environ)
    kept = {
        key: os.environ[key] for key in ("PATH", "HOME", "GPUWHEEL_CACHE_DIR", "XDG_CACHE_HOME") if key in os.environ
    }
    return Torch(python, {**kept, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)})
