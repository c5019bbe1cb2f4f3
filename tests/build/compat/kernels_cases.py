"""Calls kernels.cu on two pretend GPUs: what was launched where, what was current, which numbers a generator gave."""

import sys

sys.path.insert(0, sys.argv[1])
import kernels as m
import torch

from gpuwheel.testing import FakeGpu

gpu = FakeGpu()


def raised(function, *args):
    try:
        function(*args)
    except Exception as error:
        return type(error).__name__, str(error).partition("\n")[0]
    raise AssertionError(function)


x, y = torch.empty(2, 2, device="cuda:0"), torch.empty(2, 2, device="cuda:1")

# Devices and guards: all devices, the current one, none guarded, the last made current, and back.
assert m.devices()[:7] == [2, 0, 0, 1, 0, 0, 0], m.devices()
assert raised(m.wrong_device) == ("RuntimeError", "Expected a CUDA device, but got cpu")
assert raised(m.no_time) == ("ValueError", "Both events must be created with argument 'enable_timing=True'.")
assert raised(m.fails, 1) == ("AcceleratorError", "CUDA error: invalid argument")
assert issubclass(torch.AcceleratorError, RuntimeError)
m.fails(0)

# Streams: the guard's, the one before it, the default stream in it, and what is current at the end.
assert m.streams(x) == [1, 1, 0, 1, 1, 1, 1, 1]
stream = torch.cuda.Stream(device=1)
gpu.clear()
with torch.cuda.stream(stream):
    m.scale(y, 2.0)
(launch,) = gpu.launches("scale_kernel")
assert (launch.device, launch.stream) == (1, stream.cuda_stream), launch
m.scale(y, 2.0)
m.scale(x.half(), 2.0)
m.scale(x.bfloat16(), 2.0)
first, second, third = gpu.launches("scale_kernel")[1:]
assert (first.device, first.stream, second.device, third.device) == (1, 0, 0, 0)
assert "BFloat16" in third.name, third
assert torch.cuda.current_device() == 0
m.scatter(y, y, torch.empty(2, 2, device="cuda:1", dtype=torch.long))
assert {each.device for each in gpu.launches("scatter_kernel") + gpu.launches("extremes_kernel")} == {1}
m.strided(x)
m.dropout(x, 0.5)
m.kernels()

# Generators: seeds of 64 bits, offsets in blocks of four, the caller's own ones; nothing that a graph would repeat.
torch.cuda.manual_seed(2**64 - 5)
default, own = torch.cuda.default_generators[0], torch.Generator("cuda")
own.manual_seed(7)
before = default.get_offset()
assert m.philox_numbers(5) == [-5, before]
assert m.philox_numbers(1) == [-5, before + 8]
assert m.philox_numbers(9, own) == [7, 0]
assert (default.get_offset(), own.get_offset()) == (before + 12, 12)
assert raised(m.philox_numbers, 4, torch.Generator())[1] == (
    "Expected a 'cuda' device type for generator but found 'cpu'"
), raised(m.philox_numbers, 4, torch.Generator())
assert raised(m.philox_numbers, 4, 3)[0] == "TypeError"
capturing = torch.cuda.Stream()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph, stream=capturing):
    m.scale(x, 1.0)
    refusal = raised(m.dropout, x, 0.5)
assert refusal[0] == "RuntimeError", refusal
assert "cannot be captured in a CUDA graph" in refusal[1], refusal
print("{}")
