"""Names of GPUs, as tools write them."""

from __future__ import annotations

import pytest

from gpuwheel.compatibility import driver_of_cuda, load_tables
from gpuwheel.compatibility.gpu_names import gpu_named, load_gpu_names
from gpuwheel.model.versions import MinorVersion


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("Tesla V100-SXM2-32GB", "7.0"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("Quadro RTX 6000", "7.5"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "12.0"),
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("GRID T4-16Q", "7.5"),
        ("GeForce GTX 1660 Ti", "7.5"),
        ("NVIDIA TITAN Xp", "6.1"),
        ("NVIDIA GeForce GTX TITAN X", "5.2"),
        ("Orin (nvgpu)", "8.7"),
        ("NVIDIA GB10", "12.1"),
        ("rtx 5090", "12.0"),
        ("GeForce RTX 208...", "7.5"),
        ("NVIDIA RTX PRO 6000 Blac...", "12.0"),
        ("NVIDIA GeForce ...", None),
        ("NVIDIA Graphics Device", None),
        ("Radeon VII", None),
        ("A", None),
        ("", None),
    ],
)
def test_a_name_leads_to_its_compute_capability(name: str, capability: str | None) -> None:
    found = gpu_named(name)
    assert (None if found is None else str(found)) == capability


def test_capabilities_are_those_that_devices_have() -> None:
    assert set(load_gpu_names().values()) <= set(load_tables().devices)


def test_every_name_leads_to_its_own_row() -> None:
    assert {name: gpu_named(name) for name in load_gpu_names()} == load_gpu_names()


@pytest.mark.parametrize(("cuda", "driver"), [("12.8", "570.26"), ("12.7", "560.28.03"), ("11.8", None)])
def test_the_driver_behind_a_cuda_version(cuda: str, driver: str | None) -> None:
    found = driver_of_cuda(load_tables(), MinorVersion.parse(cuda))
    assert (None if found is None else str(found)) == driver
