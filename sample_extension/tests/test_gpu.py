"""What only a GPU can show. compute-sanitizer: see the README."""

import threading

import pytest
import torch
from operators import OPERATORS, rounded, tuple_of, with_gradients

pytestmark = pytest.mark.gpu


def arguments_of(operator, seed=0):
    shape = (2, 128, 8, 64) if operator.name == "rotary_embedding" else (64, 4096)
    return rounded(operator.arguments(shape, seed), torch.bfloat16, "cuda")[0]


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_capture_in_a_cuda_graph(operator, gpu):  # noqa: ARG001 (skips)
    arguments = arguments_of(operator)
    operator.function(*arguments)  # the first use loads the kernels
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = tuple_of(operator.function(*arguments))
    fresh = arguments_of(operator, seed=5)
    for old, new in zip(arguments, fresh, strict=True):
        old.copy_(new)
    graph.replay()
    for a, e in zip(captured, tuple_of(operator.function(*fresh)), strict=True):
        assert torch.equal(a, e)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_streams(operator, gpu):  # noqa: ARG001 (skips)
    inputs = [arguments_of(operator, seed) for seed in range(4)]
    expected = [tuple_of(operator.function(*arguments)) for arguments in inputs]
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in inputs]
    found = []
    for stream, arguments in zip(streams, inputs, strict=True):
        with torch.cuda.stream(stream):
            found.append(tuple_of(operator.function(*arguments)))
    torch.cuda.synchronize()
    for actual, wanted in zip(found, expected, strict=True):
        assert all(torch.equal(a, w) for a, w in zip(actual, wanted, strict=True))


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_threads(operator, gpu):  # noqa: ARG001 (skips)
    arguments = arguments_of(operator)
    expected = with_gradients(operator, operator.function, arguments)
    torch.cuda.synchronize()
    failures = []

    def work():
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                for _ in range(20):
                    found = with_gradients(operator, operator.function, arguments)
                torch.cuda.current_stream().synchronize()
            for actual, wanted in zip(found, expected, strict=True):
                assert all(torch.equal(a, w) for a, w in zip(actual, wanted, strict=True))
        except BaseException as error:  # noqa: BLE001 (told in the main thread)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_rows_beyond_32_bits(gpu):
    """The offset of the last rows is above 2**31 elements."""
    import gpuwheel_sample  # noqa: PLC0415 (as the others: through the package)

    rows, size = 2**31 // 4096 + 2, 4096
    if torch.cuda.mem_get_info()[0] < 5 * rows * size * 2:
        pytest.skip("needs 22 GB of free device memory")
    x = torch.zeros(rows, size, dtype=torch.bfloat16, device=gpu)
    x[-1] = 2.0
    assert (gpuwheel_sample.squared_relu(x)[-1] == 4.0).all()
    y, total = gpuwheel_sample.add_rms_norm(x, torch.zeros_like(x), torch.ones(size, dtype=x.dtype, device=gpu))
    assert (y[-1] == 1.0).all()
    assert (total[-1] == 2.0).all()
