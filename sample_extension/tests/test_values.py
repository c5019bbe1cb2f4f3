"""Values and gradients against plain torch in float64, on every device."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from operators import DTYPES, OPERATORS, SHAPES, assert_close, loss_arguments, normal, rounded, tuple_of, with_gradients

import gpuwheel_sample

ROTARY_SHAPES = [(2, 3, 4, 8), (1, 5, 1, 1), (2, 7, 3, 20), (1, 300, 40, 64), (0, 3, 2, 4), (3, 2, 0, 4)]
CASES = [
    pytest.param(operator, shape, id=f"{operator}-{'x'.join(map(str, shape))}")
    for operator in OPERATORS
    for shape in (ROTARY_SHAPES if operator.name == "rotary_embedding" else SHAPES)
    if not (operator.name == "cross_entropy" and shape == (4, 0))  # no classes: an error, in test_errors
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("operator", "shape"), CASES)
def test_values_and_gradients(operator, shape, dtype, device):
    low, exact = rounded(operator.arguments(shape), dtype, device)
    # The directions of the gradient have to be what the operator saw: rounded too.
    results, gradients = with_gradients(operator, operator.function, low)
    expected = tuple(r.double() for r in tuple_of(operator.reference(*exact)))
    directions = [
        d.to(r.dtype).double() for r, d in zip(results, normal(*(tuple(r.shape) for r in results), seed=1), strict=True)
    ]
    leaves = [a.requires_grad_(i < operator.differentiable) for i, a in enumerate(exact)]
    torch.autograd.backward(tuple_of(operator.reference(*leaves)), directions)
    assert_close(results, expected, dtype)
    assert_close(gradients, [a.grad for a in leaves[: operator.differentiable]], dtype)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_float64_on_the_cpu(operator):
    shape = (2, 3, 4, 8) if operator.name == "rotary_embedding" else (5, 4, 33)
    arguments = operator.arguments(shape)
    leaves = [a.clone().requires_grad_(i < operator.differentiable) for i, a in enumerate(arguments)]
    assert_close(tuple_of(operator.function(*arguments)), tuple_of(operator.reference(*arguments)), torch.float64)
    assert torch.autograd.gradcheck(operator.function, leaves)


def displaced(tensor, offset):
    """The same numbers, `offset` elements after the beginning of their memory."""
    return tensor.new_empty(tensor.numel() + offset)[offset:].view(tensor.shape).copy_(tensor)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("offset", [1, 3, 8])
@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_a_view_with_an_offset(operator, offset, dtype, device):
    """Data that starts between the multiples of 16 bytes gives the bits that aligned data gives."""
    shape = (2, 3, 4, 32) if operator.name == "rotary_embedding" else (6, 256)
    low, _ = rounded(operator.arguments(shape), dtype, device)
    moved = [displaced(a, offset) for a in low]
    for actual, expected in zip(
        with_gradients(operator, operator.function, moved),
        with_gradients(operator, operator.function, low),
        strict=True,
    ):
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e, rtol=0 if device == "cpu" else None, atol=0 if device == "cpu" else None)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("losses", "valid"), [((), ()), ((), (0,)), ((7,), (0,))], ids=["mean", "sum", "none"])
def test_a_gradient_of_logits_with_an_offset(losses, valid, dtype, device):
    """What the forward pass leaves is aligned; whoever calls the backward operator may have it elsewhere."""
    (gradient,), _ = rounded(normal((7, 300)), dtype, device)
    grad_loss, count = torch.full(losses, 2.0, device=device), torch.full(valid, 5.0, device=device)
    backward = torch.ops.gpuwheel_sample.cross_entropy_backward
    moved = backward(grad_loss, displaced(gradient, 1), count)
    assert torch.equal(moved, backward(grad_loss, gradient, count))


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_strides_do_not_matter(operator, device):
    shape = (2, 3, 4, 8) if operator.name == "rotary_embedding" else (6, 10, 16)
    low, _ = rounded(operator.arguments(shape), torch.float32, device)
    strided = [torch.stack([a, a], -1).select(-1, 0).transpose(0, -1).contiguous().transpose(0, -1) for a in low]
    assert not all(a.is_contiguous() for a in strided)
    for actual, expected in zip(
        with_gradients(operator, operator.function, strided),
        with_gradients(operator, operator.function, low),
        strict=True,
    ):
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e, rtol=0, atol=0)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_the_number_of_threads_does_not_matter(operator):
    shape = (2, 100, 4, 64) if operator.name == "rotary_embedding" else (1000, 130)
    low, _ = rounded(operator.arguments(shape), torch.float32)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(with_gradients(operator, operator.function, low))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        for actual, expected in zip(other, found[0], strict=True):
            for a, e in zip(actual, expected, strict=True):
                assert torch.equal(a, e)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_the_same_result_every_time(operator, device):
    shape = (2, 100, 4, 64) if operator.name == "rotary_embedding" else (1000, 136)
    low, _ = rounded(operator.arguments(shape), torch.bfloat16, device)
    first, second = (with_gradients(operator, operator.function, low) for _ in range(2))
    for actual, expected in zip(first, second, strict=True):
        for a, e in zip(actual, expected, strict=True):
            assert torch.equal(a, e)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_inputs_are_left_alone_and_nothing_aliases(operator, device):
    shape = (2, 3, 4, 8) if operator.name == "rotary_embedding" else (4, 16)
    low, _ = rounded(operator.arguments(shape), torch.float32, device)
    before = [a.clone() for a in low]
    results = tuple_of(operator.function(*low))
    assert all(torch.equal(a, b) for a, b in zip(low, before, strict=True))
    pointers = [t.data_ptr() for t in (*low, *results)]
    assert len(set(pointers)) == len(pointers)


def test_only_the_sum_of_add_rms_norm_is_used(device):
    x, residual, weight = (a.to(device, torch.float32).requires_grad_() for a in normal((3, 8), (3, 8), (8,)))
    _, total = gpuwheel_sample.add_rms_norm(x, residual, weight)
    total.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert weight.grad is None


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("classes", [10, 50257, 128256])
def test_cross_entropy_reductions(reduction, dtype, classes, device):
    low, exact = rounded(loss_arguments((5, classes)), dtype, device)
    logits, exact_logits = low[0].requires_grad_(), exact[0].requires_grad_()
    loss = gpuwheel_sample.cross_entropy(logits, low[1], reduction=reduction)
    expected = F.cross_entropy(exact_logits, exact[1], reduction=reduction)
    loss.sum().backward()
    expected.sum().backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.cpu().double(), expected, rtol=1e-5, atol=1e-5)
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(
        logits.grad.cpu().double(),
        exact_logits.grad,
        rtol=max(2 * unit, 5e-6),
        atol=1e-9 if dtype == torch.float32 else 6e-8,
    )


def test_cross_entropy_ignores(device):
    logits = torch.randn(4, 9, device=device, requires_grad=True)
    target = torch.tensor([1, 7, 7, 2], device=device)
    loss = gpuwheel_sample.cross_entropy(logits, target, ignore_index=7)
    loss.backward()
    torch.testing.assert_close(loss, F.cross_entropy(logits, target, ignore_index=7))
    assert not logits.grad[1:3].any()
    assert logits.grad[0].any()
    assert gpuwheel_sample.cross_entropy(logits, torch.full_like(target, -100)).isnan()


def test_cross_entropy_of_masked_logits(device):
    """Rows that begin with, or are nearly all, minus infinity."""
    logits = torch.full((3, 5000), float("-inf"), device=device)
    logits[0, 17] = 1.0
    logits[1, 4990:] = 2.0
    logits[2] = 0.5
    logits.requires_grad_()
    target = torch.tensor([17, 4995, 3], device=device)
    loss = gpuwheel_sample.cross_entropy(logits, target, reduction="none")
    loss.sum().backward()
    reference = logits.detach().double().cpu().requires_grad_()
    expected = F.cross_entropy(reference, target.cpu(), reduction="none")
    expected.sum().backward()
    torch.testing.assert_close(loss.cpu().double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits.grad.cpu().double(), reference.grad, rtol=1e-5, atol=1e-6)


def test_cross_entropy_computes_no_gradient_when_none_is_required(device):
    logits = torch.randn(4, 9, device=device, requires_grad=True)
    target = torch.tensor([1, 0, 3, 2], device=device)
    raw = torch.ops.gpuwheel_sample.cross_entropy
    assert raw(logits.detach(), target, -100, "mean", False)[1].numel() == 0
    assert raw(logits.detach(), target, -100, "mean", True)[1].shape == logits.shape
    with torch.no_grad():
        assert not gpuwheel_sample.cross_entropy(logits, target).requires_grad
    with torch.autograd.profiler.profile() as profile, torch.no_grad():
        gpuwheel_sample.cross_entropy(logits, target)
    assert any(event.name == "gpuwheel_sample::cross_entropy" for event in profile.function_events)


def test_backward_twice_with_a_kept_graph(device):
    logits = torch.randn(4, 9, device=device, requires_grad=True)
    loss = gpuwheel_sample.cross_entropy(logits, torch.tensor([1, 0, 3, 2], device=device))
    (first,) = torch.autograd.grad(loss, logits, grad_outputs=torch.tensor(2.0, device=device), retain_graph=True)
    (second,) = torch.autograd.grad(loss, logits, grad_outputs=torch.tensor(2.0, device=device))
    assert torch.equal(first, second)
