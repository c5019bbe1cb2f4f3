"""How much of the memory bandwidth each operator reaches, beside eager torch and `torch.compile`.

    python benchmarks/bench_operators.py --json results.json

An operator is counted as reading each input once and writing each output once; 100 % is what a copy of tensors of the
same size in the same run moves. Times are of single calls between CUDA events, after a write that empties the L2 cache;
P50 and P99 over the calls. Small sizes are also timed as a CPU sees them (`call_us`). Needs a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)

import gpuwheel_sample

SIZES = [2**exponent for exponent in range(16, 31, 2)]  # bytes of the first input: 64 KB to 1 GB
HIDDEN = 4096
VOCABULARY = 128256
WARM_UP, CALLS = 10, 100


def rms_norm(x, residual, weight):
    s = x + residual
    wide = s.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * weight, s


def rotary(x, cos, sin):
    first, second = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def cases(elements, dtype):
    """(name, our function, plain torch, arguments, how many have gradients)."""
    rows = max(1, elements // HIDDEN)

    def normal(*shape):
        return torch.randn(shape, dtype=dtype, device="cuda")

    x, other, vector = normal(rows, HIDDEN), normal(rows, HIDDEN), normal(HIDDEN)
    sample = gpuwheel_sample
    yield "add_rms_norm", sample.add_rms_norm, rms_norm, (x, other, vector), 3
    yield "bias_gelu", sample.bias_gelu, lambda a, b: F.gelu(a + b, approximate="tanh"), (x, vector), 2
    yield "swiglu", sample.swiglu, lambda gate, up: F.silu(gate) * up, (x, other), 2
    yield "squared_relu", sample.squared_relu, lambda a: F.relu(a).square(), (x,), 1
    yield "bias_squared_relu", sample.bias_squared_relu, lambda a, b: F.relu(a + b).square(), (x, vector), 2
    heads, size = 32, 128
    tokens = max(1, elements // (heads * size))
    angles = normal(tokens, size // 2), normal(tokens, size // 2)
    yield "rotary_embedding", sample.rotary_embedding, rotary, (normal(1, tokens, heads, size), *angles), 1
    if elements >= VOCABULARY:
        logits = normal(elements // VOCABULARY, VOCABULARY)
        target = torch.randint(0, VOCABULARY, logits.shape[:1], device="cuda")
        yield "cross_entropy", sample.cross_entropy, F.cross_entropy, (logits, target), 1


class Clock:
    """Times single calls on the device, each after the L2 cache was overwritten."""

    def __init__(self):
        self.flush = torch.empty(2 * torch.cuda.get_device_properties(0).L2_cache_size, dtype=torch.int8, device="cuda")

    def __call__(self, call):
        for _ in range(WARM_UP):
            call()
        pairs = []
        for _ in range(CALLS):
            self.flush.zero_()
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            call()
            stop.record()
            pairs.append((start, stop))
        torch.cuda.synchronize()
        micros = sorted(1e3 * start.elapsed_time(stop) for start, stop in pairs)
        return {"p50_us": micros[len(micros) // 2], "p99_us": micros[int(len(micros) * 0.99)]}


def call_time(call):
    """Microseconds per call of a loop that does not wait: what the CPU pays, if the device keeps up."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    torch.cuda.synchronize()
    return 1e6 * (time.perf_counter() - start) / CALLS


def byte_count(*tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


def forward_and_backward(function, arguments, differentiable):
    """Calls to time and the bytes each must move."""
    leaves = [a.detach().requires_grad_(i < differentiable) for i, a in enumerate(arguments)]
    results = function(*leaves)
    results = results if isinstance(results, tuple) else (results,)
    grads = [torch.randn_like(r) for r in results]
    inputs = leaves[:differentiable]

    def backward():
        torch.autograd.grad(results, inputs, grads, retain_graph=True)

    def forward():
        with torch.no_grad():
            function(*arguments)

    return {
        "forward": (forward, byte_count(*arguments, *results)),
        "forward for backward": (lambda: function(*leaves), byte_count(*arguments, *results)),
        "backward": (backward, byte_count(*grads, *arguments, *inputs)),
    }


def measure(clock, dtype, size):
    source = torch.empty(size, dtype=torch.int8, device="cuda")
    target = torch.empty_like(source)
    copy = clock(lambda: target.copy_(source))
    copied = 2 * size / copy["p50_us"]  # bytes per microsecond
    yield {"operator": "copy", "size": size, **copy, "bytes_per_s": 1e6 * copied}
    for name, ours, plain, arguments, differentiable in cases(size // dtype.itemsize, dtype):
        torch._dynamo.reset()  # noqa: SLF001 (its documented way)
        candidates = {"gpuwheel": ours, "eager": plain, "compile": torch.compile(plain, fullgraph=True, dynamic=False)}
        for candidate, function in candidates.items():
            try:
                calls = forward_and_backward(function, arguments, differentiable)
            except RuntimeError as error:  # torch.compile without Triton
                print(f"{name}: {candidate} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            for phase, (call, moved) in calls.items():
                found = clock(call)
                yield {
                    "operator": name,
                    "size": size,
                    "dtype": str(dtype).removeprefix("torch."),
                    "by": candidate,
                    "phase": phase,
                    **found,
                    "call_us": call_time(call),
                    "bytes": moved,
                    "bytes_per_s": 1e6 * moved / found["p50_us"],
                    "share_of_copy": moved / found["p50_us"] / copied,
                }


def machine():
    properties = torch.cuda.get_device_properties(0)
    return {
        "device": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "l2_bytes": properties.L2_cache_size,
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "gpuwheel_sample": gpuwheel_sample.__version__,
        "python": platform.python_version(),
        "command": " ".join(sys.argv),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write what is measured here, as it comes")
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16", "float32"], help="default: bfloat16 float32")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="bytes of the first input")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(1, "bench_operators.py: needs a GPU, torch sees none\n")
    clock, results = Clock(), []
    for dtype in options.dtypes:
        for size in options.sizes:
            for result in measure(clock, getattr(torch, dtype), size):
                results.append(result)
                if options.json:
                    options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
                if "by" in result:
                    print(
                        f"{result['operator']:18} {result['phase']:20} {dtype:9} {size:>11} {result['by']:9}"
                        f" {result['p50_us']:9.1f} us {result['p99_us']:9.1f} us {result['share_of_copy']:7.1%} of copy"
                    )


if __name__ == "__main__":
    main()
