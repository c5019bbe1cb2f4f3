"""What only a GPU can show: graphs, streams, threads."""

import threading

import pytest
import torch

from cases import assert_equal

pytestmark = pytest.mark.gpu


@pytest.fixture
def inputs(operator, gpu):
    """Four sets of arguments and their results, computed on the default stream."""
    arguments = [operator.arguments(operator.large, operator.dtypes[-1], gpu) for _ in range(4)]
    results = [operator.call(a) for a in arguments]
    torch.cuda.synchronize()
    return list(zip(arguments, results, strict=True))


def test_capture_in_a_cuda_graph(operator, inputs):
    (arguments, _), (others, expected) = inputs[:2]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = operator.call(arguments)
    for old, new in zip(arguments, others, strict=True):
        if isinstance(old, torch.Tensor):
            old.copy_(new)
    graph.replay()
    assert_equal(captured, expected)


def test_streams(operator, inputs):
    found = []
    for arguments, _ in inputs:
        with torch.cuda.stream(torch.cuda.Stream()):
            found.append(operator.call(arguments))
    torch.cuda.synchronize()
    for actual, (_, expected) in zip(found, inputs, strict=True):
        assert_equal(actual, expected)


def test_threads(operator, inputs):
    found = {}

    def work(number, arguments):
        with torch.cuda.stream(torch.cuda.Stream()):
            found[number] = operator.call(arguments)
            torch.cuda.current_stream().synchronize()

    threads = [threading.Thread(target=work, args=(i, arguments)) for i, (arguments, _) in enumerate(inputs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, (_, expected) in enumerate(inputs):
        assert_equal(found[number], expected)


def test_every_device(operator, gpu):
    for device in range(torch.cuda.device_count()):
        results = operator.call(operator.arguments(operator.small, operator.dtypes[0], f"{gpu}:{device}"))
        assert {r.device.index for r in results} == {device}
