"""What torch must know of each operator: schema, fake tensors, compilation, export."""

import os
import shutil

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import grad

from cases import as_tuple, map_tensors, with_gradients
from operators import OPERATORS


@pytest.fixture(autouse=True)
def _compile_anew():
    torch.compiler.reset()


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_opcheck(operator, training, device):
    arguments = operator.arguments(operator.small, operator.dtypes[0], device)
    arguments, _ = with_gradients(arguments, operator.differentiable if training else ())
    torch.library.opcheck(operator.registered, arguments)


def test_fake_and_meta_tensors(operator):
    for dtype in operator.dtypes:
        arguments = operator.arguments(operator.small, dtype, "cpu")
        results = operator.call(arguments)
        metas = operator.call(map_tensors(arguments, lambda a: a.to("meta")))
        with FakeTensorMode() as mode:
            fakes = operator.call(map_tensors(arguments, mode.from_tensor))
        for real, meta, fake in zip(results, metas, fakes, strict=True):
            expected = (real.shape, real.dtype, real.stride())
            assert expected == (meta.shape, meta.dtype, meta.stride()) == (fake.shape, fake.dtype, fake.stride())


def results_and_gradients(function, given, positions):
    arguments, leaves = with_gradients(given, positions)
    results = as_tuple(function(*arguments))
    if not leaves:
        return results
    return (*results, *grad([r.sum() for r in results if r.requires_grad], leaves))


def compare(operator, compiled, given):
    expected = results_and_gradients(operator.function, given, operator.differentiable)
    torch.testing.assert_close(results_and_gradients(compiled, given, operator.differentiable), expected)


def test_compile_the_whole_graph(operator, device):
    compiled = torch.compile(operator.function, fullgraph=True, backend="aot_eager")
    compare(operator, compiled, operator.arguments(operator.small, operator.dtypes[0], device))


def test_compile_once_for_all_shapes(operator, device):
    first, *others = [shape for shape in operator.shapes if min(shape) > 1]
    second = next(shape for shape in others if len(shape) == len(first))
    compiled = torch.compile(operator.function, fullgraph=True, backend="aot_eager", dynamic=True)
    compare(operator, compiled, operator.arguments(first, operator.dtypes[0], device))
    with torch.compiler.set_stance("fail_on_recompile"):
        compare(operator, compiled, operator.arguments(second, operator.dtypes[0], device))


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="inductor needs a C++ compiler")
def test_compile_with_inductor(device):
    if device == "cuda" and os.environ.get("GPUWHEEL_FAKE_GPU"):
        pytest.skip("what inductor makes for a GPU is Triton's, which the pretend one does not execute")
    operator = OPERATORS[0]
    compiled = torch.compile(operator.function, fullgraph=True)
    compare(operator, compiled, operator.arguments(operator.small, operator.dtypes[0], device))


def test_export(operator):
    class Model(torch.nn.Module):
        def forward(self, *arguments):
            return operator.function(*arguments)

    program = torch.export.export(Model(), operator.arguments(operator.small, operator.dtypes[0], "cpu"))
    assert operator.registered in [node.target for node in program.graph.nodes]
