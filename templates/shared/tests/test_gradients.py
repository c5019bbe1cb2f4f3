"""Gradients: of finite differences in float64, and against plain torch in float64, on every device."""

import pytest
import torch
from torch.autograd import grad, gradcheck

from cases import as_tuple, assert_close, assert_equal, exact, map_tensors, misaligned, with_gradients
from operators import OPERATORS

DIFFERENTIABLE = [operator for operator in OPERATORS if operator.differentiable]
CASES = [
    pytest.param(operator, dtype, shape, id=f"{operator}-{str(dtype)[6:]}-{'x'.join(map(str, shape))}")
    for operator in DIFFERENTIABLE
    for dtype in operator.dtypes
    for shape in operator.shapes
]


def with_grad(results):
    return tuple(r for r in results if r.requires_grad)


@pytest.mark.parametrize("operator", DIFFERENTIABLE, ids=str)
def test_gradcheck(operator):
    arguments, _ = with_gradients(operator.arguments(operator.small, torch.float64, "cpu"), operator.differentiable)
    assert gradcheck(lambda *a: with_grad(operator.call(a)), arguments)


def compare(operator, dtype, given):
    """Gradients of an operator in `dtype` with those of plain torch in float64."""
    arguments, leaves = with_gradients(given, operator.differentiable)
    results = with_grad(operator.call(arguments))
    directions = [torch.randn_like(r) for r in results]
    actual = grad(results, leaves, directions)

    arguments, leaves = with_gradients(map_tensors(given, exact), operator.differentiable)
    results = with_grad(as_tuple(operator.plain(*arguments)))
    assert_close(actual, grad(results, leaves, [exact(d) for d in directions]), dtype, operator.tolerance)


@pytest.mark.parametrize(("operator", "dtype", "shape"), CASES)
def test_gradients(operator, dtype, shape, device):
    compare(operator, dtype, operator.arguments(shape, dtype, device))


@pytest.mark.parametrize("operator", DIFFERENTIABLE, ids=str)
@pytest.mark.parametrize("size", ["small", "large"])
def test_gradients_of_what_is_not_aligned(operator, size, device):
    for dtype in operator.dtypes:
        compare(operator, dtype, map_tensors(operator.arguments(getattr(operator, size), dtype, device), misaligned))


@pytest.mark.parametrize("operator", DIFFERENTIABLE, ids=str)
def test_gradients_of_a_sum(operator, device):
    """The gradient that arrives is one number, expanded."""
    given = operator.arguments(operator.small, operator.dtypes[0], device)
    arguments, leaves = with_gradients(given, operator.differentiable)
    results = with_grad(operator.call(arguments))
    expanded = grad([r.sum() for r in results], leaves, retain_graph=True)
    assert_equal(expanded, grad(results, leaves, [torch.ones_like(r) for r in results]))


@pytest.mark.parametrize("operator", DIFFERENTIABLE, ids=str)
def test_gradients_of_some(operator, device):
    """Each alone is what it is among all."""
    given = operator.arguments(operator.small, operator.dtypes[0], device)

    def gradients(positions):
        arguments, leaves = with_gradients(given, positions)
        return grad([r.sum() for r in with_grad(operator.call(arguments))], leaves)

    for position, expected in zip(operator.differentiable, gradients(operator.differentiable), strict=True):
        assert_close(gradients((position,)), (exact(expected),), operator.dtypes[0], operator.tolerance)
