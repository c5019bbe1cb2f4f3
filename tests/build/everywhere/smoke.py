"""Run by the Python under test: every operator of the sample once, forward and backward, against float64.

Prints one JSON object: what ran where, and how long the imports took.
"""

from __future__ import annotations

import json
import platform
import sys
import time

import torch  # noqa: TID251  (the Python under test has it)

STARTED = time.perf_counter()
import gpuwheel_sample as ops  # noqa: E402  (the import is what is timed)

IMPORT_SECONDS = time.perf_counter() - STARTED

SHAPES = {
    "add_rms_norm": [(6, 40), (6, 40), (40,)],
    "swiglu": [(6, 40), (6, 40)],
    "squared_relu": [(6, 40)],
    "linear_gelu": [(6, 40), (12, 40), (12,)],
    "gelu_mlp": [(6, 40), (12, 40), (12,), (5, 12)],
}


def arguments(name: str) -> list[torch.Tensor]:
    """float64 arguments; those to differentiate require it."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    if name == "cross_entropy":
        return [normal(6, 40).requires_grad_(), torch.tensor([3, 0, -100, 39, 7, 7])]
    if name == "rotary_embedding":
        return [normal(2, 5, 3, 8).requires_grad_(), normal(5, 4), normal(5, 4)]
    return [normal(*shape).requires_grad_() for shape in SHAPES.get(name, [(6, 40), (40,)])]


def results(name: str, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    """What an operator returns, and the gradients of what it was given."""
    returned = getattr(ops, name)(*leaves)
    outputs = list(returned) if isinstance(returned, tuple) else [returned]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    return outputs + list(torch.autograd.grad([output.sum() for output in outputs], wanted))


def check(name: str) -> None:
    """float32 and bfloat16 must agree with float64, which `gradcheck` holds to its own derivative."""
    exact = arguments(name)
    torch.autograd.gradcheck(getattr(ops, name), exact)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 5e-2)):
        low = [a.detach().to(dtype if a.is_floating_point() else a.dtype) for a in exact]
        low = [a.requires_grad_(b.requires_grad) for a, b in zip(low, exact, strict=True)]
        for actual, expected in zip(results(name, low), results(name, exact), strict=True):
            torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=4 * tolerance)


for operator in ops.__all__:
    check(operator)
json.dump(
    {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "operators": sorted(ops.__all__),
        "import_seconds": round(IMPORT_SECONDS, 4),
    },
    sys.stdout,
)
