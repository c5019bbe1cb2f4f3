"""The same call on the pretend GPU and on the CPU: samples on both, and in which way their results are not the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "as_wide_as",
    "called",
    "compared",
    "cotangents",
    "first_line",
    "is_random",
    "moved",
    "named",
    "on_the_cpu",
    "tensors_in",
    "wider",
]

_DRAWN = {
    *("bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal", "pca_lowrank", "rand"),
    *("rand_like", "randint", "randint_like", "randn", "randn_like", "svd_lowrank", "uniform", "randperm"),
    *("nn.functional.multi_head_attention_forward",),  # its samples drop out
}
_UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}


def is_random(name: str) -> bool:
    """Whether an operator draws numbers, or returns what memory held."""
    words = ("dropout", "rrelu", "fractional", "Dropout", "RReLU", "Fractional")
    return name in _DRAWN | _UNINITIALISED or any(word in name for word in words)


def on_the_cpu(value: Any) -> Any:
    """A copy of a tensor there; names of devices as the CPU's."""
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return value.to("cpu")
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().requires_grad_(value.requires_grad)
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return "cpu" if isinstance(value, str) and value.startswith("cuda") else value


def moved(sample: Any) -> Any:
    """A sample of OpInfo, on the CPU."""
    copy = sample.transform(on_the_cpu)
    copy.kwargs = {name: on_the_cpu(value) if name == "device" else value for name, value in copy.kwargs.items()}
    return copy


_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
_WIDER |= {torch.bool: torch.int32}


def wider(sample: Any) -> Any:
    """A sample in the numbers that a kernel may know which refuses narrow ones."""

    def widened(value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return _WIDER.get(value, value)
        return value.detach().to(_WIDER.get(value.dtype, value.dtype)) if isinstance(value, torch.Tensor) else value

    return sample.transform(widened)


def as_wide_as(value: Any, like: Any) -> Any:
    """Results in the dtypes of others."""
    mine, others = tree_leaves(value), tree_leaves(like)
    return [
        left.to(right.dtype) if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) else left
        for left, right in zip(mine, others, strict=True)
    ]


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Those among the leaves."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def called(function: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What it returns or raises, with the same random numbers each time."""
    torch.manual_seed(1)
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001 - counted
        return None, error


def named(error: Exception) -> bool:
    """Whether it is the pretend GPU's own error, which names the operator."""
    return "on the pretend GPU" in str(error)


def first_line(error: BaseException) -> str:
    """Of what an exception says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def cotangents(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Of the same values wherever the tensors are."""
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.randn(t.shape, dtype=torch.float64, generator=generator) for t in tensors]
    return [value.to(t.dtype).to(t.device) for value, t in zip(drawn, tensors, strict=True)]


def compared(mine: Any, theirs: Any, *, random: bool = False, strides: bool = False) -> tuple[str, str]:
    """Whether bits are "equal", "close" by torch's own tolerances, or "differs"; and in what."""
    ours, others = tree_leaves(mine), tree_leaves(theirs)
    if len(ours) != len(others):
        return "differs", f"{len(ours)} results for {len(others)}"
    verdicts = [_of_one(left, right, random=random, strides=strides) for left, right in zip(ours, others, strict=True)]
    order = ("differs", "close", "equal")
    return min(verdicts, key=lambda verdict: order.index(verdict[0]), default=("equal", ""))


def _of_one(left: Any, right: Any, *, random: bool, strides: bool) -> tuple[str, str]:
    if not isinstance(left, torch.Tensor):
        same = random or isinstance(left, torch.device) or left == right or left != left  # noqa: PLR0124 - NaN
        return ("equal", "") if same else ("differs", f"{left} for {right}"[:200])
    if not isinstance(right, torch.Tensor) or (left.shape, left.dtype) != (right.shape, right.dtype):
        return "differs", f"{_facts(left)} for {_facts(right)}"
    if left.device.type == "cpu" and left.dim() and right.numel():
        return "differs", "a result on the CPU"
    if strides and left.layout is torch.strided and not left.is_nested and left.stride() != right.stride():
        return "differs", f"strides {left.stride()} for {right.stride()} of {tuple(left.shape)}"
    return ("equal", "") if random else _values(left, right)


def _values(left: torch.Tensor, right: torch.Tensor) -> tuple[str, str]:
    left, right = left.detach().cpu(), right.detach()
    if left.is_nested:
        left, right = left.to_padded_tensor(0.0), right.to_padded_tensor(0.0)
    words = {"equal_nan": True, "check_stride": False}
    try:
        torch.testing.assert_close(left, right, rtol=0, atol=0, **words)
    except AssertionError:
        try:
            torch.testing.assert_close(left, right, **words)
        except AssertionError as error:
            return "differs", " ".join(str(error).split())[:200]
        return "close", ""
    return "equal", ""


def _facts(value: Any) -> str:
    return f"{tuple(value.shape)} {value.dtype} {value.device}" if isinstance(value, torch.Tensor) else repr(value)[:80]
