"""The operators under test: arguments, and the same in plain torch, to be run in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)

import gpuwheel_sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

DTYPES = [torch.float32, torch.float16, torch.bfloat16]

# Rows of one vector, of a warp, of several warps, beyond the registers; odd ones; nothing.
SHAPES = [
    (3, 7),
    (5, 4, 64),
    (1, 1),
    (2, 4096),
    (33, 1000),
    (2, 3, 20011),
    (1, 40000),
    (0, 8),
    (4, 0),
    (17,),
    (300, 24),
]


@dataclass(frozen=True)
class Operator:
    name: str
    arguments: Callable[..., tuple[Any, ...]]
    """(shape, seed) -> float64 tensors on the CPU, in the order of the function."""
    reference: Callable[..., Any]
    differentiable: int
    """How many of the arguments, from the first."""

    @property
    def function(self) -> Callable[..., Any]:
        return getattr(gpuwheel_sample, self.name)

    @property
    def raw(self) -> Any:
        return getattr(torch.ops.gpuwheel_sample, self.name).default

    def __str__(self) -> str:
        return self.name


def normal(*shapes: tuple[int, ...], seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)


def rounded(arguments, dtype, device="cpu"):
    """The arguments in `dtype`, and the values they then have in float64."""
    low = tuple(a.to(device, dtype if a.is_floating_point() else a.dtype) for a in arguments)
    return low, tuple(a.cpu().double() if a.is_floating_point() else a.cpu() for a in low)


def rms_norm_reference(x, residual, weight):
    s = x + residual
    return s * torch.rsqrt(s.square().mean(-1, keepdim=True) + 1e-6) * weight, s


def rotary_reference(x, cos, sin):
    first, second = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def rotary_arguments(shape, seed=0):
    batch, sequence, heads, half = (*shape, 3, 2, 5)[:4]
    return normal((batch, sequence, heads, 2 * half), (sequence, half), (sequence, half), seed=seed)


def loss_arguments(shape, seed=0):
    (logits,) = normal(shape, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, max(1, shape[-1]), shape[:-1], generator=generator)
    if target.numel() > 2:
        target.view(-1)[1] = -100
    return 3 * logits, target


def loss_reference(logits, target):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))


OPERATORS = [
    Operator("add_rms_norm", lambda s, seed=0: normal(s, s, s[-1:], seed=seed), rms_norm_reference, 3),
    Operator(
        "bias_gelu",
        lambda s, seed=0: normal(s, s[-1:], seed=seed),
        lambda x, bias: F.gelu(x + bias, approximate="tanh"),
        2,
    ),
    Operator("swiglu", lambda s, seed=0: normal(s, s, seed=seed), lambda gate, up: F.silu(gate) * up, 2),
    Operator("squared_relu", lambda s, seed=0: normal(s, seed=seed), lambda x: F.relu(x).square(), 1),
    Operator(
        "bias_squared_relu",
        lambda s, seed=0: normal(s, s[-1:], seed=seed),
        lambda x, bias: F.relu(x + bias).square(),
        2,
    ),
    Operator("cross_entropy", loss_arguments, loss_reference, 1),
    Operator("rotary_embedding", rotary_arguments, rotary_reference, 1),
]


def tuple_of(result):
    return result if isinstance(result, tuple) else (result,)


def with_gradients(operator, function, arguments, seed=1):
    """Results of `function` and the gradients of the arguments for a fixed random direction of the results.

    The leaves are the memory they were given: a copy would be aligned and contiguous, whatever the test asked for.
    """
    leaves = [a.detach().requires_grad_(i < operator.differentiable) for i, a in enumerate(arguments)]
    results = tuple_of(function(*leaves))
    directions = normal(*(tuple(r.shape) for r in results), seed=seed)
    torch.autograd.backward(results, [d.to(r.device, r.dtype) for r, d in zip(results, directions, strict=True)])
    return tuple(r.detach() for r in results), tuple(a.grad for a in leaves[: operator.differentiable])


def assert_close(actual, expected, dtype):
    """To a few units in the last place of `dtype`, on the scale of the largest element (sums over rows grow)."""
    unit = torch.finfo(dtype).eps
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        if e.numel() == 0:
            continue
        scale = max(1.0, e.abs().max().item())
        torch.testing.assert_close(a.cpu().double(), e, rtol=8 * unit, atol=8 * unit * scale, equal_nan=True)
