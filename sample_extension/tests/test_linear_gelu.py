"""`linear_gelu` and `gelu_mlp`: values, what torch must know, mistakes, and the calls of nvmath-python.

On the CPU nothing of NVIDIA's is needed: the code for CUDA runs there with `EmulatedPlanner` in nvmath-python's place.
"""

import importlib.util
import os
import sys
import threading

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from emulated_planner import EmulatedPlanner
from operators import DTYPES, Operator, assert_close, normal, rounded, tuple_of, with_gradients

import gpuwheel_sample
from gpuwheel_sample import _linear_gelu
from gpuwheel_sample._nvmath import NvmathPlanner, PlanCache


def linear_gelu_arguments(shape, seed=0):
    *rows, size, out = shape
    x, weight, bias = normal((*rows, size), (out, size), (out,), seed=seed)
    return x, weight / max(1, size) ** 0.5, bias


def gelu_mlp_arguments(shape, seed=0):
    *_, out = shape
    (projection,) = normal((5, out), seed=seed + 1)
    return *linear_gelu_arguments(shape, seed), projection / max(1, out) ** 0.5


def linear_gelu_reference(x, weight, bias):
    return F.gelu(F.linear(x, weight, bias), approximate="tanh")


OPERATORS = [
    Operator("linear_gelu", linear_gelu_arguments, linear_gelu_reference, 3),
    Operator(
        "gelu_mlp",
        gelu_mlp_arguments,
        lambda x, weight, bias, projection: F.linear(linear_gelu_reference(x, weight, bias), projection),
        4,
    ),
]
# (..., in, out): plain ones, a padded pre-activation, one row, an inner dimension of 1, nothing.
SHAPES = [(32, 64, 48), (2, 3, 7, 11), (1, 16, 8), (5, 1, 9), (4, 6, 1), (9, 3), (0, 4, 8), (3, 0, 4), (3, 4, 0)]

operators = pytest.mark.parametrize("operator", OPERATORS, ids=str)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


@pytest.fixture(autouse=True)
def _nvmath_beside_a_gpu(request):
    if "gpu" in request.fixturenames or (
        "device" in request.fixturenames and request.getfixturevalue("device") == "cuda"
    ):
        if os.environ.get("GPUWHEEL_FAKE_GPU"):
            pytest.skip("cuBLASLt is machine code, which the pretend GPU does not execute")
        pytest.importorskip("nvmath", reason="nvmath-python is not installed (the extras cu12 and cu13)")


# --- Values -----------------------------------------------------------------------------------------------------------


def assert_like_float64(operator, shape, dtype, device):
    """Results and gradients against plain torch in float64, from the values and directions that the operator saw."""
    low, exact = rounded(operator.arguments(shape), dtype, device)
    results, gradients = with_gradients(operator, operator.function, low)
    (direction,) = (d.to(dtype).double() for d in normal(tuple(results[0].shape), seed=1))
    leaves = [a.requires_grad_() for a in exact]
    expected = operator.reference(*leaves)
    expected.backward(direction)
    assert_close(results, [expected.detach()], dtype)
    # The pre-activation is kept in `dtype`, and the gradients are sums over products with it.
    assert_close(gradients, [a.grad for a in leaves], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@shapes
@operators
def test_values_and_gradients(operator, shape, dtype, device):
    assert_like_float64(operator, shape, dtype, device)


@operators
def test_float64_on_the_cpu(operator):
    leaves = [a.requires_grad_() for a in operator.arguments((2, 3, 4, 5))]
    assert_close(tuple_of(operator.function(*leaves)), tuple_of(operator.reference(*leaves)), torch.float64)
    assert torch.autograd.gradcheck(operator.function, leaves)


@operators
def test_strides_do_not_matter(operator, device):
    low, _ = rounded(operator.arguments((6, 10, 16)), torch.float32, device)
    strided = [torch.stack([a, a], -1).select(-1, 0) for a in low]
    assert not all(a.is_contiguous() for a in strided)
    for actual, expected in zip(
        with_gradients(operator, operator.function, strided),
        with_gradients(operator, operator.function, low),
        strict=True,
    ):
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)


def test_an_mlp_is_its_two_layers(device):
    low, _ = rounded(gelu_mlp_arguments((8, 16, 24)), torch.float32, device)
    x, weight, bias, projection = low
    layers = F.linear(gpuwheel_sample.linear_gelu(x, weight, bias), projection)
    torch.testing.assert_close(gpuwheel_sample.gelu_mlp(*low), layers)


# --- What torch must know ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [False, True])
@operators
def test_opcheck(operator, grad, device):
    low, _ = rounded(operator.arguments((4, 6, 11)), torch.float32, device)
    torch.library.opcheck(operator.raw, [a.requires_grad_(grad) for a in low])


@operators
def test_opcheck_of_the_backward(operator, device):
    low, _ = rounded(operator.arguments((4, 6, 11)), torch.float32, device)
    bias = 2
    y, *kept = operator.raw(*low)
    arguments = (torch.ones_like(y), *low[:bias], *low[bias + 1 :], *kept)
    torch.library.opcheck(getattr(torch.ops.gpuwheel_sample, f"{operator}_backward").default, arguments)


@pytest.mark.parametrize("suffix", ["", "_backward"])
@operators
def test_every_kernel_is_registered(operator, suffix):
    name = f"gpuwheel_sample::{operator.name}{suffix}"
    for key in ("CPU", "CUDA", "Autograd"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(name, key), key  # noqa: SLF001 (no public way to ask)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@operators
def test_compile_whole_graph(operator, backend, device):
    low, _ = rounded(operator.arguments((4, 6, 11)), torch.float32, device)
    torch._dynamo.reset()  # noqa: SLF001 (its documented way)
    compiled = torch.compile(operator.function, fullgraph=True, backend=backend)
    for actual, expected in zip(
        with_gradients(operator, compiled, low), with_gradients(operator, operator.function, low), strict=True
    ):
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e)


def test_compile_with_changing_shapes():
    torch._dynamo.reset()  # noqa: SLF001 (its documented way)
    compiled = torch.compile(gpuwheel_sample.linear_gelu, fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (3, 9):
        low, _ = rounded(linear_gelu_arguments((rows, 6, 11)), torch.float32)
        torch.testing.assert_close(compiled(*low), gpuwheel_sample.linear_gelu(*low))


@operators
def test_differentiating_twice_says_so(operator, device):
    low, _ = rounded(operator.arguments((4, 6, 11)), torch.float32, device)
    leaves = [a.requires_grad_() for a in low]
    (grad,) = torch.autograd.grad(operator.function(*leaves).square().sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match=f"{operator.name}: cannot be differentiated twice"):
        grad.sum().backward()


# --- Mistakes ---------------------------------------------------------------------------------------------------------


@operators
def test_shapes_that_do_not_fit(operator, device):
    x, weight, *others = rounded(operator.arguments((5, 16, 8)), torch.float32, device)[0]
    with pytest.raises(RuntimeError, match=rf"{operator}: weight has shape \(8, 15\), \(out, 16\) is expected"):
        operator.function(x, weight[:, 1:], *others)
    with pytest.raises(RuntimeError, match=rf"{operator}: bias has shape \(7,\), \(8,\) is expected"):
        operator.function(x, weight, others[0][1:], *others[1:])
    with pytest.raises(RuntimeError, match=f"{operator}: x has 0 dimensions, at least 1 is expected"):
        operator.function(x[0, 0], weight, *others)


def test_a_projection_that_does_not_fit(device):
    *others, projection = rounded(gelu_mlp_arguments((5, 16, 8)), torch.float32, device)[0]
    with pytest.raises(RuntimeError, match=r"gelu_mlp: projection has shape \(5, 7\), \(out, 8\) is expected"):
        gpuwheel_sample.gelu_mlp(*others, projection[:, 1:])


@operators
def test_dtypes(operator, device):
    x, weight, *others = rounded(operator.arguments((5, 16, 8)), torch.float32, device)[0]
    with pytest.raises(RuntimeError, match=f"{operator}: weight has dtype torch.float16, x has torch.float32"):
        operator.function(x, weight.half(), *others)
    with pytest.raises(RuntimeError, match=f"{operator}: dtype torch.complex64 is not supported on"):
        operator.function(x.to(torch.complex64), weight, *others)


@operators
def test_devices(operator, gpu):
    x, weight, *others = rounded(operator.arguments((5, 16, 8)), torch.float32)[0]
    with pytest.raises(RuntimeError, match=rf"{operator}: weight is on cpu, x on {gpu}.*must be on one device"):
        operator.function(x.to(gpu), weight, *others)


def test_float64_is_for_the_cpu(gpu):
    arguments = [a.to(gpu) for a in linear_gelu_arguments((5, 16, 8))]
    with pytest.raises(RuntimeError, match=r"linear_gelu: dtype torch\.float64 is not supported on cuda"):
        gpuwheel_sample.linear_gelu(*arguments)


def test_without_nvmath_the_error_names_the_extra(monkeypatch):
    """As for a CUDA tensor: the planner is the one place that imports nvmath-python."""
    monkeypatch.setitem(sys.modules, "nvmath", None)
    monkeypatch.setitem(sys.modules, "nvmath.linalg", None)
    low, _ = rounded(linear_gelu_arguments((5, 16, 8)), torch.float32)
    monkeypatch.setattr(_linear_gelu, "_plans", PlanCache(NvmathPlanner()))
    with pytest.raises(RuntimeError, match=r"nvmath-python is not installed .*install 'gpuwheel-sample\[cu1[23]\]'"):
        _linear_gelu._linear_gelu_cuda(*low)  # noqa: SLF001 (what a CUDA tensor dispatches to)


def test_importing_the_package_does_not_import_nvmath():
    spec = importlib.util.find_spec("gpuwheel_sample._nvmath")
    assert spec is not None
    assert "nvmath" not in vars(sys.modules["gpuwheel_sample._nvmath"])


# --- The code for CUDA, with plain torch in the place of nvmath-python ------------------------------------------------


@pytest.fixture
def planner(monkeypatch):
    planner = EmulatedPlanner()
    monkeypatch.setattr(_linear_gelu, "_plans", PlanCache(planner))
    return planner


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@shapes
@operators
def test_emulated_calls_give_the_values_of_the_cpu(operator, shape, dtype, planner):  # noqa: ARG001 (takes nvmath's place)
    low, _ = rounded(operator.arguments(shape), dtype)
    by_device = {d: getattr(_linear_gelu, f"_{operator}_{d}") for d in ("cpu", "cuda")}
    results = {device: function(*low) for device, function in by_device.items()}
    y, *_, pre = results["cpu"]
    for actual, expected in zip(results["cuda"], results["cpu"], strict=True):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        assert actual.is_contiguous()
    assert_close([results["cuda"][0]], [y.double()], dtype)
    (direction,) = (d.to(dtype) for d in normal(tuple(y.shape), seed=1))
    bias = 2
    backward = {
        device: getattr(_linear_gelu, f"_{operator}_backward_{device}")(
            direction, *low[:bias], *low[bias + 1 :], *results[device][1:]
        )
        for device in by_device
    }
    for actual, expected in zip(backward["cuda"], backward["cpu"], strict=True):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        assert actual.is_contiguous()
    assert_close(backward["cuda"], [e.double() for e in backward["cpu"]], dtype)
    assert pre.shape[-1] % 8 == 0


def test_the_epilogs_that_are_asked_for(planner):
    low, _ = rounded(gelu_mlp_arguments((5, 16, 8)), torch.float32)
    x, weight, bias, projection = low
    y, pre = _linear_gelu._linear_gelu_cuda(x, weight, bias)  # noqa: SLF001 (what a CUDA tensor dispatches to)
    _linear_gelu._linear_gelu_backward_cuda(y, x, weight, pre)  # noqa: SLF001
    assert planner.planned == ["GELU_AUX_BIAS", "BGRADB"]
    y, hidden, pre = _linear_gelu._gelu_mlp_cuda(*low)  # noqa: SLF001
    _linear_gelu._gelu_mlp_backward_cuda(y, x, weight, projection, hidden, pre)  # noqa: SLF001
    assert planner.planned == ["GELU_AUX_BIAS", "BGRADB", "DGELU_BGRAD"], "the plan of the forward is made once"


def test_nvmath_has_what_is_called():
    advanced = pytest.importorskip("nvmath.linalg.advanced", reason="nvmath-python is not installed")
    assert all(hasattr(advanced.MatmulEpilog, name) for name in ("GELU_AUX_BIAS", "BGRADB", "DGELU_BGRAD"))
    for method in ("plan", "reset_operands_unchecked", "execute", "release_operands", "free"):
        assert callable(getattr(advanced.Matmul, method))


# --- The cache of plans -----------------------------------------------------------------------------------------------


def aligned(*shape):
    """As CUDA's allocator gives them; that of the CPU stops at 64 bytes."""
    size = shape[0] * shape[1]
    room = torch.randn(size + 64)
    start = -room.data_ptr() % 256 // 4
    return room[start : start + size].view(shape)


def test_a_problem_is_planned_once():
    planner = EmulatedPlanner()
    plans = PlanCache(planner)
    for _ in range(3):
        a, b = aligned(4, 8), aligned(8, 3)
        result, further = plans.matmul(a, b, "BGRADB")
    assert planner.planned == ["BGRADB"]
    torch.testing.assert_close(result, a @ b)
    torch.testing.assert_close(further["bgradb"], b.sum(0))


def test_what_makes_another_problem():
    planner = EmulatedPlanner()
    plans = PlanCache(planner)
    room = aligned(10, 10).view(-1)
    a, b = aligned(4, 8), aligned(8, 3)
    for left, right in (
        (a, b),
        (a[:2], b),
        (a.T.contiguous().T, b),
        (a.half(), b.half()),
        (room[1:33].view(4, 8), b),  # starts between the multiples of 16 bytes
    ):
        plans.matmul(left, right, "BGRADB")
    assert len(planner.planned) == 5


def test_the_plan_used_least_recently_is_freed():
    planner = EmulatedPlanner()
    plans = PlanCache(planner, kept=2)
    b = aligned(8, 3)
    for rows in (2, 3, 2, 4, 2):
        plans.matmul(aligned(rows, 8), b, "BGRADB")
    assert (len(planner.planned), planner.freed) == (3, 1)


def test_a_thread_makes_its_own_plans():
    planner = EmulatedPlanner()
    plans = PlanCache(planner)
    a, b = aligned(4, 8), aligned(8, 3)
    threads = [threading.Thread(target=plans.matmul, args=(a, b, "BGRADB")) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    plans.matmul(a, b, "BGRADB")
    assert len(planner.planned) == 4


# --- What only a GPU can show -----------------------------------------------------------------------------------------


@pytest.mark.gpu
@operators
def test_capture_in_a_cuda_graph(operator, gpu):
    low, _ = rounded(operator.arguments((64, 256, 512)), torch.bfloat16, gpu)
    operator.function(*low)  # plans
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = operator.function(*low)
    low[0].copy_(rounded(operator.arguments((64, 256, 512), seed=5), torch.bfloat16, gpu)[0][0])
    graph.replay()
    assert torch.equal(captured, operator.function(*low))


@pytest.mark.gpu
@operators
def test_streams(operator, gpu):
    inputs = [rounded(operator.arguments((128, 256, 512), seed), torch.bfloat16, gpu)[0] for seed in range(4)]
    expected = [operator.function(*arguments) for arguments in inputs]
    torch.cuda.synchronize()
    found = []
    for arguments in inputs:
        with torch.cuda.stream(torch.cuda.Stream()):
            found.append(operator.function(*arguments))
    torch.cuda.synchronize()
    for actual, wanted in zip(found, expected, strict=True):
        assert torch.equal(actual, wanted)


@pytest.mark.gpu
@operators
def test_sizes_of_a_model(operator, gpu):
    assert_like_float64(operator, (512, 1024, 4096), torch.bfloat16, gpu)
