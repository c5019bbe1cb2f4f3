"""What torch must know of each operator: schema, fake kernels, autograd, compilation."""

import os

import pytest
import torch
from operators import OPERATORS, rounded, tuple_of, with_gradients
from torch._subclasses.fake_tensor import FakeTensorMode

import gpuwheel_sample

BACKENDS = ["aot_eager", "inductor"]


def small(operator, dtype=torch.float32, device="cpu"):
    shape = (2, 3, 4, 8) if operator.name == "rotary_embedding" else (5, 16)
    return rounded(operator.arguments(shape), dtype, device)[0]


def raw_arguments(operator, arguments, *, grad):
    if operator.name == "add_rms_norm":
        return (*arguments, 1e-6)
    if operator.name == "cross_entropy":
        return (*arguments, -100, "mean", grad)
    return arguments


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("grad", [False, True])
def test_opcheck(operator, grad, device):
    arguments = [
        a.requires_grad_(grad and i < operator.differentiable) for i, a in enumerate(small(operator, device=device))
    ]
    torch.library.opcheck(operator.raw, raw_arguments(operator, arguments, grad=grad))


def backward_arguments(operator, arguments, dtype=torch.float32):
    """What the backward operator of each takes."""
    if operator.name == "add_rms_norm":
        x, residual, weight = arguments
        return (x, residual, x + residual, weight, torch.rand(x.shape[:-1], dtype=torch.float32, device=x.device))
    if operator.name == "cross_entropy":
        logits, _ = arguments
        return (torch.tensor(2.0, device=logits.device), logits, torch.tensor(3.0, device=logits.device))
    if operator.name == "rotary_embedding":
        return arguments
    return (arguments[0].to(dtype), *arguments)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_opcheck_of_the_backward(operator, device):
    raw = getattr(torch.ops.gpuwheel_sample, f"{operator.name}_backward").default
    torch.library.opcheck(raw, backward_arguments(operator, small(operator, device=device)))


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("suffix", ["", "_backward"])
def test_every_kernel_is_registered(operator, suffix):
    name = f"gpuwheel_sample::{operator.name}{suffix}"
    for key in ("CPU", "CUDA", "Autograd"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(name, key), key  # noqa: SLF001 (no public way to ask)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_fake_and_meta_tensors(operator, dtype):
    arguments = small(operator, dtype)
    expected = tuple_of(operator.function(*arguments))
    with FakeTensorMode() as mode:
        faked = tuple_of(operator.function(*(mode.from_tensor(a) for a in arguments)))
    metas = tuple_of(operator.function(*(a.to("meta") for a in arguments)))
    for f, m, e in zip(faked, metas, expected, strict=True):
        assert (f.shape, f.dtype, f.stride()) == (m.shape, m.dtype, m.stride()) == (e.shape, e.dtype, e.stride())


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_compile_whole_graph(operator, backend, device):
    if backend == "inductor" and device == "cuda" and os.environ.get("GPUWHEEL_FAKE_GPU"):
        pytest.skip("what inductor makes for a GPU is Triton's, which the pretend one does not execute")
    arguments = small(operator, device=device)
    torch._dynamo.reset()  # noqa: SLF001 (its documented way)
    compiled = torch.compile(operator.function, fullgraph=True, backend=backend)
    for actual, expected in zip(
        with_gradients(operator, compiled, arguments),
        with_gradients(operator, operator.function, arguments),
        strict=True,
    ):
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)


def test_compile_with_changing_shapes():
    torch._dynamo.reset()  # noqa: SLF001 (its documented way)
    compiled = torch.compile(
        lambda x, residual, weight: gpuwheel_sample.add_rms_norm(x * 2, residual, weight)[0].relu(),
        fullgraph=True,
        backend="aot_eager",
        dynamic=True,
    )
    for rows in (3, 9):
        x, residual, weight = torch.randn(rows, 64), torch.randn(rows, 64), torch.randn(64)
        torch.testing.assert_close(
            compiled(x, residual, weight), gpuwheel_sample.add_rms_norm(x * 2, residual, weight)[0].relu()
        )


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_export(operator):
    class Model(torch.nn.Module):
        def forward(self, *arguments):
            return operator.function(*arguments)

    program = torch.export.export(Model(), small(operator))
    assert operator.raw in [node.target for node in program.graph.nodes]


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_differentiating_twice_says_so(operator, device):
    leaves = [a.requires_grad_(i < operator.differentiable) for i, a in enumerate(small(operator, device=device))]
    result = tuple_of(operator.function(*leaves))[0]
    (grad,) = torch.autograd.grad(result.square().sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match=f"{operator.name}: cannot be differentiated twice"):
        grad.sum().backward()
