"""The probe of the driver, on a machine with pretend devices."""

from __future__ import annotations

import os

import pytest

from gpuwheel._cache import Cache
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import MinorVersion
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
from gpuwheel.toolchain.probes.driver import probe_driver


@pytest.mark.compiler
def test_it_sees_the_devices() -> None:
    settings = FakeSettings(devices=2, capability="8.6", driver="12.8", memory=24)
    cache = Cache.from_environment(os.environ)
    driver = probe_driver(fake_gpu_environment(os.environ, cache=cache, site_packages=None, settings=settings))

    assert driver.problem is None
    assert driver.cuda == MinorVersion(12, 8)
    assert [(device.arch, device.memory >> 30) for device in driver.devices] == [(Arch(8, 6), 24)] * 2
