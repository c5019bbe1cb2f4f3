"""Call all of comparison.cpp with several tensors, and print what came: argv[1] is the folder of the module.

What makes tensors and views is called in each mode that torch has, too.
"""

import gc
import importlib
import json
import re
import sys
import warnings
from contextlib import contextmanager, nullcontext

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, sys.argv[1])
m = importlib.import_module("comparison")
F = torch.arange(6.0).reshape(2, 3)
INPUTS = {
    "grad": lambda: (F.clone().requires_grad_(), (F + 1).requires_grad_()),
    "plain": lambda: (F.clone(), F * 2 + 1),
    "long": lambda: (F.long() + 1, F.long().flip(1) + 1),
    "bool": lambda: (F > 2, F > 1),
    "transposed": lambda: (F.double().t().contiguous().t(), F.double() + 2),
    "half": lambda: (F.half(), F.half() + 1),
    "scalar": lambda: (torch.tensor(2.5), torch.tensor(3)),
    "empty": lambda: (torch.zeros(0, 3), torch.ones(0, 3)),
    "complex": lambda: (torch.complex(F, F + 1), F.clone()),
    "images": lambda: (
        torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.ones(1, 2, 3, 4),
    ),
}


def storage(t):
    return t.untyped_storage().data_ptr() if t.device.type == "cpu" and t.numel() else None


def shown(t, given):
    """Kind, shape, values; which of the given it shares memory with, which it is."""
    if t is None:
        return None
    values = None if t.device.type == "meta" else repr(t.detach().resolve_conj().tolist())
    alias = [storage(t) is not None and storage(t) == storage(g) for g in given]
    kind = [
        str(t.dtype),
        list(t.shape),
        list(t.stride()),
        t.storage_offset(),
        str(t.device),
        t.requires_grad,
        t.is_leaf,
    ]
    return [*kind, values, alias, [t is g for g in given]]


def gradients(results, given):
    last = [t for t in results if t is not None and t.grad_fn is not None and t.is_floating_point()]
    if not last:
        return None
    sum(t.sum() for t in last if t.device.type == "cpu").backward()
    return [None if g.grad is None else g.grad.tolist() for g in given if g.is_leaf]


def outcome(call):
    try:
        return call()
    except BaseException as error:  # what is raised is what is compared
        return [type(error).__name__, str(error).partition("\nException raised from")[0]]


def text(name, given):
    return outcome(lambda: m.text(name, *given))


def tensors(name, given):
    def call():
        results = m.tensors(name, *given)
        return [[shown(t, given) for t in results], gradients(results, given)]

    before = [g._version for g in given]
    got = outcome(call)
    return [got, [g._version - b for g, b in zip(given, before, strict=True)]]


# What is in this memory is what was there before, but in deterministic mode.
UNFILLED = "at::empty({2, 3}, x.options()), x.new_empty({2}), at::empty_like(x)"
MAKES = re.compile(
    r"empty|zeros|ones|full|_like|view|transpose|permute|\bt\(\)|narrow|Slice|select|reshape|contiguous|clone|copy_|add|sub"
)


class Observing(TorchDispatchMode):
    """Does what it is asked, and counts."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.asked += 1
        return function(*args, **(kwargs or {}))


class Plain(torch.Tensor):
    pass


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def described(t, given):
    """Of what a mode gave: its class, and the parts of one that has two."""
    if t is None:
        return None
    about = [
        type(t).__name__,
        str(t.dtype),
        list(t.shape),
        list(t.stride()),
        t.requires_grad,
        t.is_inference(),
        t._is_view(),
    ]
    if isinstance(t, TwoTensor):
        return [about, *(shown(each(t), [each(g) for g in given]) for each in (lambda two: two.a, lambda two: two.b))]
    return [about, None if type(t).__name__ == "FakeTensor" else shown(t, given)]


def twice(t):
    return TwoTensor(t.detach(), t.detach() + 1).requires_grad_(t.requires_grad)


def fresh(t):
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype).requires_grad_(t.requires_grad)


INSIDE = {  # what is entered, and what becomes of the tensors inside
    "fake": (
        FakeTensorMode,
        lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype).requires_grad_(t.requires_grad),
    ),
    "deterministic": (deterministic, lambda t: t),
    "observed": (Observing, lambda t: t),
    "inference": (torch.inference_mode, lambda t: t),
    "made in inference": (torch.inference_mode, lambda t: t.clone()),
    "no grad": (torch.no_grad, lambda t: t),
    "autocast": (lambda: torch.autocast("cpu", torch.bfloat16), lambda t: t),
    "two in one": (nullcontext, twice),
    "subclass": (nullcontext, lambda t: t.detach().as_subclass(Plain)),
}


def in_mode(mode, name, given):
    enter, prepared = INSIDE[mode]

    def call():
        with enter():
            inside = [prepared(t) for t in given]
            return [described(t, inside) for t in m.tensors(name, *inside)]

    return outcome(call)


def under_vmap(name, given):
    def one(x, y):
        return tuple(t for t in m.tensors(name, x, y) if t is not None)

    return outcome(lambda: [shown(t, ()) for t in torch.vmap(one)(*(torch.stack([t, t + 1]) for t in given))])


def with_derivative(name, given):
    def total(x, y):
        return sum(t.sum() for t in m.tensors(name, x, y) if t is not None and t.is_floating_point())

    return outcome(lambda: torch.func.grad(total)(*given).tolist())


def in_modes(found):
    for name in filter(MAKES.search, m.tensor_names()):
        for label in ("grad", "plain") if name != UNFILLED else ():
            for mode in INSIDE:
                found[f"{mode}, {label}: {name}"] = in_mode(mode, name, INPUTS[label]())
        if name != UNFILLED:
            found[f"vmap: {name}"] = under_vmap(name, INPUTS["plain"]())
            found[f"derivative: {name}"] = with_derivative(name, INPUTS["plain"]())
    found[f"deterministic, long: {UNFILLED}"] = in_mode("deterministic", UNFILLED, INPUTS["long"]())
    found[f"deterministic, plain: {UNFILLED}"] = in_mode("deterministic", UNFILLED, INPUTS["plain"]())
    with Observing() as mode:
        m.tensors("torch::zeros({2}, x.options()), torch::ones({1, 1}, x.dtype())", *INPUTS["plain"]())
    found["observed: at least two: zeros, ones"] = mode.asked >= 2


def main():
    warnings.simplefilter("ignore")
    found = {}
    for label, make in INPUTS.items():
        for name in m.text_names():
            found[f"{label}: {name}"] = text(name, make())
        for name in m.tensor_names():
            if name != UNFILLED:
                found[f"{label}: {name}"] = tensors(name, make())
    in_modes(found)
    gc.collect()
    print(json.dumps(found))


main()
