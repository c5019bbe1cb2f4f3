"""What is looked at of each operator of torch's database, one function each: values, `out=`, in place, derivatives,
strides, errors.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from comparing import (
    as_wide_as,
    called,
    compared,
    cotangents,
    first_line,
    is_random,
    moved,
    named,
    on_the_cpu,
    tensors_in,
    wider,
)
from torch.autograd import forward_ad
from torch.utils._pytree import tree_map

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OF_A_SAMPLE", "Verdict", "errors", "more_dtypes"]

Verdict = tuple[str, str]
"""The kind, and what is to be said of it."""


def _judged(ours: Callable[[], Any], theirs: Callable[[], Any], name: str, **words: bool) -> Verdict:
    expected, refused = called(theirs)
    given, failed = called(ours)
    if failed is not None and refused is not None and first_line(failed) == first_line(refused):
        return ("refused" if "not implemented for" in str(failed) else "the same error"), first_line(failed)
    if failed is not None:
        return ("refused" if named(failed) else "failed"), first_line(failed)
    if refused is not None:
        return "more than the CPU", first_line(refused)
    return compared(given, expected, random=is_random(name), **words)


def forward(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict:
    """Values, dtypes, shapes and strides."""
    del dtype
    other = moved(sample)
    verdict = _judged(lambda: _run(operator, sample), lambda: _run(operator, other), operator.name)
    if verdict[0] == "more than the CPU":
        wide, refused = called(lambda: _run(operator, wider(other)))
        if refused is None:
            mine, _ = called(lambda: _run(operator, sample))
            kind, text = compared(mine, as_wide_as(wide, mine), random=is_random(operator.name))
            return (kind, text) if kind == "differs" else (f"{kind} to wider numbers", verdict[1])
    if verdict[0] in {"equal", "close"} and is_random(operator.name) and "empty" not in operator.name:
        first, second = (called(lambda: _run(operator, sample))[0] for _ in range(2))
        return compared(first, tree_map(on_the_cpu, second))
    return verdict


def strides(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict | None:
    """As torch's own kernels for shapes tell them of tensors of CUDA, without any kernel."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: PLC0415 - takes seconds

    if dtype not in {torch.float32, torch.int64} or any(t.layout is not torch.strided for t in _inputs(sample)):
        return None
    given, failed = called(lambda: _run(operator, sample))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        facts = sample.transform(lambda v: mode.from_tensor(v) if isinstance(v, torch.Tensor) else v)
        told, unknown = called(lambda: _run(operator, facts))
    if failed is not None or unknown is not None:
        return None
    for mine, fake in zip(tensors_in(given), tensors_in(told), strict=False):
        if (
            mine.shape == fake.shape
            and mine.numel()
            and mine.layout is torch.strided
            and mine.stride() != fake.stride()
        ):
            return "differs", f"strides {mine.stride()} for {fake.stride()} of {tuple(mine.shape)}"
    return "equal", ""


def out(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict | None:
    """With `out=` of the right shape, empty, and with holes: values, and that it is what was given."""
    del dtype
    if not operator.supports_out:
        return None
    other = moved(sample)
    told, refused = called(lambda: _run(operator, other))
    if refused is not None or not all(isinstance(t, torch.Tensor) for t in _as_list(told)):
        return None
    worst: Verdict = "equal", ""
    for form in (_filled, _empty, _with_holes):

        def run(one: Any, form: Callable[..., Any] = form) -> Any:
            place = one.input.device if isinstance(one.input, torch.Tensor) else None
            device = place or next((t.device for t in _inputs(one)), one.kwargs.get("device", "cpu"))
            outs = tree_map(lambda t: form(t, device), told)
            before = [t.data_ptr() for t in _as_list(outs)]
            result = operator(one.input, *one.args, **one.kwargs, out=outs)
            if any(a is not b for a, b in zip(_as_list(result), _as_list(outs), strict=False)):
                msg = "out= is not what was returned"
                raise AssertionError(msg)
            if form is not _empty and before != [t.data_ptr() for t in _as_list(outs)]:
                msg = "out= was moved"
                raise AssertionError(msg)
            return outs

        kind, text = _judged(partial(run, sample), partial(run, other), operator.name, strides=True)
        if kind not in {"equal", "close"}:
            return kind, f"{form.__name__[1:]}: {text}"
        worst = (kind, text) if kind == "close" else worst
    return worst


def in_place(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict | None:
    """`x.add_(...)`: values, and that it is what was given."""
    del dtype
    variant = operator.inplace_variant
    if variant is None or sample.broadcasts_input or not tensors_in(sample.input):
        return None

    def run(one: Any) -> Any:
        own = tree_map(lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else v, one.input)
        result = variant(own, *one.args, **one.kwargs)
        if result is not own and isinstance(own, torch.Tensor):
            msg = "it returns another tensor"
            raise AssertionError(msg)
        return own

    other = moved(sample)
    return _judged(lambda: run(sample), lambda: run(other), operator.name, strides=True)


def gradient(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict | None:
    """Of every input that asks for one."""
    if dtype not in operator.supported_backward_dtypes("cuda") or is_random(operator.name):
        return None
    other = moved(sample)
    return _judged(lambda: _gradients(operator, sample), lambda: _gradients(operator, other), operator.name)


def second_gradient(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict | None:
    """Of the gradients, in 64 bits."""
    if dtype not in {torch.float64, torch.complex128} or not operator.supports_gradgrad or is_random(operator.name):
        return None
    if dtype not in operator.supported_backward_dtypes("cuda"):
        return None
    other = moved(sample)

    def run(one: Any) -> Any:
        firsts = [g for g in _gradients(operator, one, create_graph=True) if g is not None and g.requires_grad]
        if not firsts:
            return []
        return _grad(firsts, _wanting(one), create_graph=False)

    return _judged(lambda: run(sample), lambda: run(other), operator.name)


def forward_derivative(operator: Any, sample: Any, dtype: torch.dtype) -> Verdict | None:
    """In forward mode, in 64 bits."""
    if dtype is not torch.float64 or not operator.supports_forward_ad or is_random(operator.name):
        return None

    def run(one: Any) -> Any:
        wanting = _wanting(one)
        tangents = {id(t): tangent for t, tangent in zip(wanting, cotangents(wanting), strict=True)}
        with forward_ad.dual_level():
            dual = one.transform(
                lambda t: forward_ad.make_dual(t.detach(), tangents[id(t)]) if id(t) in tangents else t
            )
            results = tensors_in(_run(operator, dual))
            return [forward_ad.unpack_dual(result).tangent for result in results]

    other = moved(sample)
    return _judged(lambda: run(sample), lambda: run(other), operator.name)


OF_A_SAMPLE = (forward, strides, out, in_place, gradient, second_gradient, forward_derivative)


def errors(operator: Any) -> list[Verdict]:
    """The database's wrong calls: the errors that it expects of a GPU."""
    found: list[Verdict] = []
    if operator.error_inputs_func is None:
        return found
    for wrong in operator.error_inputs("cuda"):
        one = wrong.sample_input
        _, raised = called(partial(_run, operator, one))
        if raised is None:
            found.append(("no error", str(wrong.error_regex)[:120]))
        elif isinstance(raised, wrong.error_type) and re.search(wrong.error_regex, str(raised)):
            found.append(("equal", ""))
        else:
            found.append(("other words", f"{first_line(raised)} for {wrong.error_regex[:120]}"))
    return found


def more_dtypes(operator: Any) -> list[tuple[torch.dtype, Verdict]]:
    """Dtypes that torch's kernels refuse on a GPU and take on a CPU: whether the pretend GPU takes them."""
    found = []
    for dtype in sorted(operator.supported_dtypes("cpu") - operator.supported_dtypes("cuda"), key=str):
        sample, failed = called(partial(_first_sample, operator, dtype))
        if sample is None or failed is not None:
            continue
        _, raised = called(partial(_run, operator, sample))
        found.append((dtype, ("taken", "") if raised is None else ("refused", first_line(raised))))
    return found


def _run(operator: Any, one: Any) -> Any:
    return operator(one.input, *one.args, **one.kwargs)


def _first_sample(operator: Any, dtype: torch.dtype) -> Any:
    return next(iter(operator.sample_inputs("cuda", dtype)), None)


def _inputs(one: Any) -> list[torch.Tensor]:
    return tensors_in([one.input, one.args, one.kwargs])


def _wanting(one: Any) -> list[torch.Tensor]:
    return [t for t in _inputs(one) if t.requires_grad]


def _gradients(operator: Any, one: Any, *, create_graph: bool = False) -> list[Any]:
    results = one.output_process_fn_grad(_run(operator, one))
    results = [t for t in tensors_in(results) if t.requires_grad]
    wanting = _wanting(one)
    if not results or not wanting:
        return []
    return _grad(results, wanting, create_graph=create_graph)


def _grad(results: Any, wanting: Any, *, create_graph: bool) -> list[Any]:
    found = torch.autograd.grad(
        results, wanting, cotangents(results), allow_unused=True, create_graph=create_graph, materialize_grads=False
    )
    return list(found)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _filled(t: torch.Tensor, device: Any) -> torch.Tensor:
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device)


def _empty(t: torch.Tensor, device: Any) -> torch.Tensor:
    return torch.empty(0, dtype=t.dtype, device=device)


def _with_holes(t: torch.Tensor, device: Any) -> torch.Tensor:
    return torch.zeros((*t.shape, 2), dtype=t.dtype, device=device)[..., 0]
