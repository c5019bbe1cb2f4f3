"""CUDA sources of extensions: what is current, launched and random is what torch's own headers give."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from compat_modules import SOURCES
from torch_environments import torch_environment

import gpuwheel
from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.testing import FakeSettings, fake_gpu_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch, pytest.mark.heavy]

WITHOUT_CUDA = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import kernels as m
def raised(function, *args):
    try:
        function(*args)
    except RuntimeError as error:
        return str(error)
x = torch.ones(2, 2)
for each in (m.devices, m.philox_numbers, m.strided, m.streams):
    print(each.__name__, raised(each, *{"devices": (), "philox_numbers": (4,)}.get(each.__name__, (x,))))
print(raised(m.scale, x, 1.0), "|", raised(m.kernels))
"""


@pytest.fixture(scope="module")
def built(compat: Callable[..., Built]) -> Built:
    """The module made of our headers, by nvcc."""
    return compat("kernels", "kernels.cu")


@pytest.mark.parametrize("release", ["2.10.0", "2.15.0"])
def test_streams_devices_and_generators_are_torchs(built: Built, release: str) -> None:
    python = torch_environment(release, environ=os.environ)
    environ = fake_gpu_environment(
        {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)},
        cache=Cache.from_environment(os.environ),
        site_packages=next(python.parent.parent.glob("lib/python3.*/site-packages")),
        settings=FakeSettings(devices=2, capability="8.0"),
    )
    command = [python, SOURCES / "kernels_cases.py", built.folder]
    seen = run(command, env=environ, cwd=built.folder, check=False)
    assert seen.returncode == 0, seen.output


def test_a_cpu_build_of_torch_says_what_it_lacks(built: Built) -> None:
    python = torch_environment("2.13.0+cpu", environ=os.environ)
    seen = run([python, "-c", WITHOUT_CUDA, built.folder], env=os.environ, cwd=built.folder)
    *asked, last = seen.stdout.decode().splitlines() if isinstance(seen.stdout, bytes) else seen.stdout.splitlines()
    assert len(asked) == 4
    assert all("Cannot access accelerator device when none is available." in each for each in asked), asked
    assert last.startswith("Expected a CUDA device, but got cpu | CUDA error: "), last


def test_a_source_may_have_its_own_atomics_shuffles_and_loops(compat: Callable[..., Built]) -> None:
    assert compat("own_names", "own_names.cu").folder.exists()
