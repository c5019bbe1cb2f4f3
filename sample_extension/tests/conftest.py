"""Devices: the CPU always, CUDA where there is a GPU. `GPUWHEEL_REQUIRE=gpu` turns the skip into a failure."""

import os

import pytest
import torch

REQUIRED = os.environ.get("GPUWHEEL_REQUIRE", "").replace(",", " ").split()


def require_gpu():
    """Skip the test, or fail it if a GPU is required, where there is none that computes."""
    pretend = os.environ.get("GPUWHEEL_FAKE_GPU")
    if pretend and "execute=1" not in pretend.split(","):
        pytest.skip("the pretend GPU only records")
    if not torch.cuda.is_available():
        if "gpu" in REQUIRED:
            pytest.fail("no GPU, and GPUWHEEL_REQUIRE asks for one")
        pytest.skip("no GPU")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda":
        require_gpu()
    return request.param


@pytest.fixture
def gpu():
    require_gpu()
    return "cuda"
