"""The CUDA kernels and their launches, executed on the CPU by tests/emulate, against the CPU implementations.

Every thread, barrier and shuffle runs; what is not tested is the code the device compiler makes of them.
`GPUWHEEL_SAMPLE_EMULATED` names a library built before (python tests/emulate/build.py).
"""

import os
import sys
from pathlib import Path

import pytest
import torch
from operators import DTYPES, OPERATORS, assert_close, rounded, tuple_of

sys.path.insert(0, str(Path(__file__).parent / "emulate"))
import build as emulation

# Rows of one vector, of part of a warp, of warps, beyond the registers of a block, odd; rows that fill several blocks.
SHAPES = [(3, 7), (5, 4, 64), (1, 1), (2, 4096), (9, 1000), (2, 5003), (1, 16400), (17,), (90, 24), (20, 513)]
ROTARY_SHAPES = [(2, 3, 4, 8), (1, 5, 1, 1), (2, 7, 3, 20), (1, 30, 40, 64)]


@pytest.fixture(scope="session")
def emulated(tmp_path_factory):
    if emulation.compiler() is None or emulation.headers() is None:
        pytest.skip("needs g++ and gpuwheel's headers")
    built = os.environ.get("GPUWHEEL_SAMPLE_EMULATED")
    torch.ops.load_library(built or str(emulation.build(tmp_path_factory.mktemp("emulated"))))
    return torch.ops.gpuwheel_sample_emulated


def pairs(operator, arguments, emulated):
    """(emulated, expected) results of the forward and backward operators."""
    real, name = torch.ops.gpuwheel_sample, operator.name
    extra = {"add_rms_norm": (1e-6,)}.get(name, ())
    if name == "cross_entropy":
        for reduction in ("mean", "sum", "none"):
            results = []
            for library in (emulated, real):
                loss, gradient, valid = library.cross_entropy(*arguments, -100, reduction, True)
                scaled = library.cross_entropy_backward(torch.full_like(loss, 3.0), gradient, valid)
                only, nothing, _ = library.cross_entropy(*arguments, -100, reduction, False)
                assert nothing.numel() == 0
                results.append((loss, only, valid, scaled))
            yield tuple(results)
        return
    forward = [tuple_of(getattr(library, name)(*arguments, *extra)) for library in (emulated, real)]
    yield tuple(forward)
    grad = torch.randn_like(forward[1][0])
    if name == "add_rms_norm":
        _, total, scale = forward[1]
        calls = [(grad, None, total, arguments[2], scale), (grad, arguments[1], total, arguments[2], scale)]
    elif name == "rotary_embedding":
        calls = [(grad, *arguments[1:])]
    else:
        calls = [(grad, *arguments)]
    for call in calls:
        yield tuple(tuple_of(getattr(library, f"{name}_backward")(*call)) for library in (emulated, real))


def compare(operator, arguments, emulated, dtype):
    for actual, expected in pairs(operator, arguments, emulated):
        assert_close(actual, tuple(e.double() for e in expected), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        pytest.param(operator, shape, id=f"{operator}-{'x'.join(map(str, shape))}")
        for operator in OPERATORS
        for shape in (ROTARY_SHAPES if operator.name == "rotary_embedding" else SHAPES)
    ],
)
def test_kernels(operator, shape, dtype, emulated):
    low, _ = rounded(operator.arguments(shape), dtype)
    compare(operator, low, emulated, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("offset", [1, 8])
@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_kernels_on_views_with_an_offset(operator, offset, dtype, emulated):
    shape = (2, 3, 4, 32) if operator.name == "rotary_embedding" else (6, 256)
    low, _ = rounded(operator.arguments(shape), dtype)
    moved = [torch.empty(a.numel() + offset, dtype=a.dtype)[offset:].view(a.shape).copy_(a) for a in low]
    compare(operator, moved, emulated, dtype)


def test_a_target_out_of_range_makes_its_loss_nan(emulated):
    logits, target = torch.randn(3, 9), torch.tensor([2, 9, -1])
    loss, gradient, _ = emulated.cross_entropy(logits, target, -100, "none", True)
    assert loss.isnan().tolist() == [False, True, True]
    assert gradient[1:].isnan().all()


def test_masked_logits(emulated):
    logits = torch.full((2, 5000), float("-inf"))
    logits[0, 17] = 1.0
    logits[1, 4990:] = 2.0
    target = torch.tensor([17, 4995])
    for actual, expected in zip(
        emulated.cross_entropy(logits, target, -100, "none", True),
        torch.ops.gpuwheel_sample.cross_entropy(logits, target, -100, "none", True),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected)
