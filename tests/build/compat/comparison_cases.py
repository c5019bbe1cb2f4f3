"""Call all of comparison.cpp with several tensors, and print what came: argv[1] is the folder of the module."""

import gc
import importlib
import json
import sys
import warnings

import torch

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


def main():
    warnings.simplefilter("ignore")
    found = {}
    for label, make in INPUTS.items():
        for name in m.text_names():
            found[f"{label}: {name}"] = text(name, make())
        for name in m.tensor_names():
            found[f"{label}: {name}"] = tensors(name, make())
    gc.collect()
    print(json.dumps(found))


main()
