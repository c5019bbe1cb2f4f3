"""Each mistake is told with the operator, the argument and both values."""

import pytest
import torch
from operators import OPERATORS, rounded

import gpuwheel_sample


def small(operator, device):
    shape = (2, 3, 4, 8) if operator.name == "rotary_embedding" else (5, 16)
    return list(rounded(operator.arguments(shape), torch.float32, device)[0])


SHAPES = {
    "add_rms_norm": r"add_rms_norm: weight has shape \(1,?\), \(16\) is expected",
    "bias_gelu": r"bias_gelu: bias has shape \(1,?\), \(16\) is expected",
    "bias_squared_relu": r"bias_squared_relu: bias has shape \(1,?\), \(16\) is expected",
    "swiglu": r"swiglu: up has shape \(1\), gate has \(5, 16\): they must be equal",
    "cross_entropy": r"cross_entropy: target has shape \(1\), \(5\) is expected",
    "rotary_embedding": r"rotary_embedding: sin has shape \(1\), \(3, 8\) is expected",
}


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o.name in SHAPES], ids=str)
def test_shapes(operator, device):
    *others, last = small(operator, device)
    with pytest.raises(RuntimeError, match=SHAPES[operator.name]):
        operator.function(*others, last.flatten()[:1])


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o.name in SHAPES], ids=str)
def test_dtypes(operator, device):
    *others, last = small(operator, device)
    expected = "Long is expected" if operator.name == "cross_entropy" else "they must be equal"
    with pytest.raises(RuntimeError, match=rf"{operator.name}: \w+ has dtype Half.*{expected}"):
        operator.function(*others, last.to(torch.float16))


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_a_dtype_that_is_not_supported(operator, device):
    arguments = [a.to(torch.complex64) if a.is_floating_point() else a for a in small(operator, device)]
    with pytest.raises(RuntimeError, match=f"{operator.name}: dtype ComplexFloat is not supported"):
        operator.function(*arguments)


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o.name in SHAPES], ids=str)
def test_devices(operator, gpu):
    *others, last = small(operator, "cpu")
    with pytest.raises(RuntimeError, match=rf"{operator.name}: .* they must be on one device"):
        operator.function(*others, last.to(gpu))


def test_float64_is_for_the_cpu(gpu):
    with pytest.raises(RuntimeError, match="squared_relu: dtype Double is not supported"):
        gpuwheel_sample.squared_relu(torch.randn(3, dtype=torch.float64, device=gpu))


def test_a_number_has_no_last_dimension(device):
    x = torch.tensor(1.0, device=device)
    with pytest.raises(RuntimeError, match="bias_gelu: x has 0 dimensions, at least 1 is expected"):
        gpuwheel_sample.bias_gelu(x, x)


def test_rotary_embedding_needs_four_dimensions_and_halves(device):
    with pytest.raises(RuntimeError, match="rotary_embedding: x has 3 dimensions, 4 are expected"):
        gpuwheel_sample.rotary_embedding(torch.ones(2, 3, 4, device=device), torch.ones(2, 2), torch.ones(2, 2))
    x = torch.ones(1, 2, 3, 7, device=device)
    with pytest.raises(RuntimeError, match="the last dimension of x has 7 elements, an even number is expected"):
        gpuwheel_sample.rotary_embedding(x, torch.ones(2, 3, device=device), torch.ones(2, 3, device=device))


def test_rotary_embedding_has_no_gradient_for_the_angles(device):
    cos = torch.ones(2, 3, device=device, requires_grad=True)
    y = gpuwheel_sample.rotary_embedding(torch.ones(1, 2, 1, 6, device=device), cos, torch.ones(2, 3, device=device))
    with pytest.raises(RuntimeError, match="cos and sin have no gradient"):
        y.sum().backward()


def test_cross_entropy_reduction_and_classes(device):
    logits, target = torch.ones(2, 3, device=device), torch.tensor([0, 1], device=device)
    with pytest.raises(RuntimeError, match="reduction is 'median', 'mean', 'sum' or 'none' is expected"):
        gpuwheel_sample.cross_entropy(logits, target, reduction="median")
    with pytest.raises(RuntimeError, match="logits has no classes"):
        gpuwheel_sample.cross_entropy(logits[:, :0], target)


@pytest.mark.parametrize("target", [3, -1])
def test_cross_entropy_target_out_of_range(target, device):
    logits, targets = torch.ones(2, 3, device=device), torch.tensor([0, target], device=device)
    if device == "cpu":
        with pytest.raises(RuntimeError, match=f"cross_entropy: target {target} is out of range, there are 3 classes"):
            gpuwheel_sample.cross_entropy(logits, targets)
    else:  # to report it would be to wait for the device
        assert gpuwheel_sample.cross_entropy(logits, targets).isnan()


def test_cross_entropy_without_its_gradient():
    logits = torch.ones(2, 3, requires_grad=True)
    loss, _, _ = torch.ops.gpuwheel_sample.cross_entropy(logits, torch.tensor([0, 1]), -100, "mean", False)
    with pytest.raises(RuntimeError, match="the gradient was not computed"):
        loss.backward()
