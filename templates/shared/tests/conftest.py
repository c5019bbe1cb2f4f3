"""Devices: the CPU always, CUDA where there is a GPU. `GPUWHEEL_REQUIRE=gpu` turns the skip into a failure."""

import os

import pytest
import torch

from cases import Operator
from operators import OPERATORS


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=OPERATORS, ids=str)
def operator(request: pytest.FixtureRequest) -> Operator:
    return request.param


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda":
        _need_gpu(request)
    return request.param


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> str:
    _need_gpu(request)
    return "cuda"


def _need_gpu(request: pytest.FixtureRequest) -> None:
    pretend = os.environ.get("GPUWHEEL_FAKE_GPU")
    if pretend and "execute=1" not in pretend.split(","):
        pytest.skip("the pretend GPU only records")
    if pretend and "operator" in request.fixturenames and not request.getfixturevalue("operator").has_ptx:
        pytest.skip("the pretend GPU executes PTX, and this operator has none")
    if not torch.cuda.is_available():
        if "gpu" in os.environ.get("GPUWHEEL_REQUIRE", ""):
            pytest.fail("no GPU, and GPUWHEEL_REQUIRE asks for one")
        pytest.skip("no GPU")
