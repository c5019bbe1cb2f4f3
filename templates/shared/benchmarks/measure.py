"""What is measured, and how: single calls after a warm-up, P50 and P99 over them.

A GPU is timed by events around each call, after a write that empties its L2 cache; a CPU by `time.perf_counter`.
The ceiling of an operator without `flops` is the fastest copy that moves as many bytes, measured the same way in the
same run; with `flops` it is the fastest `torch.matmul` of large square matrices of the same dtype.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a call must do at least: read each input once, write each output once."""

    bytes: int
    flops: int = 0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One entry of `CANDIDATES` in candidates.py."""

    name: str
    ours: Callable[..., Any]
    plain: Callable[..., Any]
    """The same in plain torch: run as it is and by `torch.compile`."""
    arguments: Callable[[int, torch.dtype, str], tuple[Any, ...]]
    """(bytes of the first tensor, dtype, device) -> arguments."""
    cost: Callable[[tuple[Any, ...], tuple[Tensor, ...]], Cost]
    """(arguments, results) -> cost of the forward."""
    others: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Contenders that could be imported here: "nvmath", "triton"."""
    differentiable: tuple[int, ...] = ()
    """Positions of the arguments that get gradients: forward and backward together are timed too."""
    dtypes: tuple[torch.dtype, ...] = (torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Latency:
    """Microseconds."""

    best: float
    p50: float
    p99: float
    loop: float
    """Per call of a loop that waits for nothing: what a program sees that is bound by launches."""


class Clock:
    """Times calls on one device."""

    def __init__(self, device: str, *, times: int, warm_up: int) -> None:
        self.device, self.times, self.warm_up = device, times, warm_up
        self.on_gpu = device == "cuda"
        if self.on_gpu:
            l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
            self.flush = torch.empty(2 * l2_bytes, dtype=torch.int8, device=device)

    def __call__(self, call: Callable[[], Any]) -> Latency:
        for _ in range(self.warm_up):
            call()
        singles = sorted(self._events(call) if self.on_gpu else self._seconds(call))
        self._wait()
        start = time.perf_counter()
        for _ in range(self.times):
            call()
        self._wait()
        loop = (time.perf_counter() - start) / self.times
        best, p50, p99 = (singles[int(share * len(singles))] for share in (0, 0.5, 0.99))
        return Latency(1e6 * best, 1e6 * p50, 1e6 * p99, 1e6 * loop)

    def _wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    def _seconds(self, call: Callable[[], Any]) -> list[float]:
        seconds = []
        for _ in range(self.times):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return seconds

    def _events(self, call: Callable[[], Any]) -> list[float]:
        events = [tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(self.times)]
        for start, stop in events:
            self.flush.zero_()  # also keeps the device busy while the call is being enqueued
            start.record()
            call()
            stop.record()
        torch.cuda.synchronize()
        return [1e-3 * start.elapsed_time(stop) for start, stop in events]


class Ceilings:
    """What this machine reaches, per second."""

    def __init__(self, clock: Clock, *, matrix_size: int) -> None:
        self.clock, self.matrix_size = clock, matrix_size
        self._measured: dict[object, float] = {}

    def bandwidth(self, size: int) -> float:
        """Bytes, of a copy that reads and writes `size` bytes together."""
        if size not in self._measured:
            source = torch.ones(max(1, size // 2), dtype=torch.uint8, device=self.clock.device)
            target = torch.empty_like(source)
            self._measured[size] = 1e6 * size / self.clock(lambda: target.copy_(source)).best
        return self._measured[size]

    def flops(self, dtype: torch.dtype) -> float:
        """Floating-point operations, of `torch.matmul` in `dtype`."""
        if dtype not in self._measured:
            n = self.matrix_size
            a, b = (torch.randn(n, n, device=self.clock.device).to(dtype) for _ in range(2))
            self._measured[dtype] = 1e6 * 2 * n**3 / self.clock(lambda: torch.matmul(a, b)).best
        return self._measured[dtype]


def as_tuple(results: Any) -> tuple[Tensor, ...]:
    return results if isinstance(results, tuple) else (results,)


def bytes_of(tensors: tuple[Any, ...]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))


Phases = dict[str, tuple[Callable[[], Any], Cost]]


def phases(candidate: Candidate, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Phases:
    """What to time, and what it costs."""

    def forward() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return as_tuple(function(*arguments))

    cost = candidate.cost(arguments, forward())
    found: Phases = {"forward": (forward, cost)}
    if candidate.differentiable:
        leaves = [a.detach() if isinstance(a, Tensor) else a for a in arguments]
        inputs = tuple(leaves[i].requires_grad_() for i in candidate.differentiable)
        grads = tuple(torch.randn_like(r) for r in as_tuple(function(*leaves)))

        def both() -> tuple[Tensor, ...]:
            return torch.autograd.grad(as_tuple(function(*leaves)), inputs, grads)

        # The backward reads the arguments and the gradients that arrive; it writes one gradient per input.
        backward = bytes_of(arguments) + bytes_of(grads) + bytes_of(inputs)
        found["forward and backward"] = (both, Cost(bytes=cost.bytes + backward, flops=3 * cost.flops))
    return found
