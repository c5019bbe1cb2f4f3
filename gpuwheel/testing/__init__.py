"""Test GPU code without a GPU: a pretend one, stubs of NVIDIA's libraries, and skips that can be forbidden.

pytest loads `gpuwheel.testing.plugin` in every project of an environment that has gpuwheel, so importing this package
costs nothing: what it offers is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
    from gpuwheel.testing.features import require
    from gpuwheel.testing.gpu import FakeGpu, Launch
    from gpuwheel.testing.stubs import write_stubs

__all__ = ["FakeGpu", "FakeSettings", "Launch", "fake_gpu_environment", "require", "write_stubs"]

_HOMES = {
    "FakeGpu": "gpu",
    "FakeSettings": "environment",
    "Launch": "gpu",
    "fake_gpu_environment": "environment",
    "require": "features",
    "write_stubs": "stubs",
}


def __getattr__(name: str) -> object:
    # PEP 562.
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
