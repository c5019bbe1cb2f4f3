"""Results against plain torch in float64, on every device."""

import pytest
import torch

from cases import assert_close, assert_equal, map_tensors, misaligned
from operators import OPERATORS

CASES = [
    pytest.param(operator, dtype, shape, id=f"{operator}-{str(dtype)[6:]}-{'x'.join(map(str, shape))}")
    for operator in OPERATORS
    for dtype in operator.dtypes
    for shape in operator.shapes
]


@pytest.mark.parametrize(("operator", "dtype", "shape"), CASES)
def test_values(operator, dtype, shape, device):
    arguments = operator.arguments(shape, dtype, device)
    assert_close(operator.call(arguments), operator.truth(arguments), dtype, operator.tolerance)


def test_float64_on_the_cpu(operator):
    arguments = operator.arguments(operator.small, torch.float64, "cpu")
    assert_close(operator.call(arguments), operator.truth(arguments), torch.float64, operator.tolerance)


def transposed(tensor):
    return tensor.transpose(0, -1).contiguous().transpose(0, -1) if tensor.dim() > 1 else tensor


def expanded(tensor):
    return tensor[:1].expand(tensor.shape) if tensor.dim() else tensor


def every_second(tensor):
    return torch.stack([tensor, tensor], -1)[..., 0]


@pytest.mark.parametrize("layout", [transposed, expanded, every_second, misaligned])
@pytest.mark.parametrize("size", ["small", "large"])
def test_strides(operator, layout, size, device):
    for dtype in operator.dtypes:
        arguments = map_tensors(operator.arguments(getattr(operator, size), dtype, device), layout)
        assert_close(operator.call(arguments), operator.truth(arguments), dtype, operator.tolerance)


def test_inputs_are_left_alone(operator, device):
    arguments = operator.arguments(operator.small, operator.dtypes[0], device)
    before = map_tensors(arguments, torch.clone)
    operator.call(arguments)
    assert_equal(*([a for a in some if isinstance(a, torch.Tensor)] for some in (arguments, before)))


def test_the_same_bits_every_time(operator, device):
    arguments = operator.arguments(operator.large, operator.dtypes[-1], device)
    assert_equal(operator.call(arguments), operator.call(arguments))
