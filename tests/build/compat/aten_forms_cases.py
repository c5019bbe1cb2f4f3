# ruff: noqa: E501, PERF203, PTH123, S112, SIM115, SIM905
"""Call every function of aten_forms.cpp and print what came out, or (ROUNDS) how memory grows: see autograd_cases.py.

python aten_forms_cases.py FOLDER [ROUNDS]
"""

import gc
import json
import resource
import sys
import warnings

sys.path.insert(0, sys.argv[1])
import aten_forms as m
import torch

WAYS = "view index dimension lists optional number text into out implemented undefined options negative leaf singular".split()
NODES = ["add", "add a number", "subtract from a number", "multiply by a number", "divide by a number", "add into",
         "multiply into", "view", "transpose", "slice", "fill where", "sum"]  # fmt: skip
warnings.simplefilter("ignore")


def sample():
    return torch.arange(-4.0, 8.0).reshape(3, 4)


def shown(value):
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), list(value.shape), list(value.stride()), value.requires_grad, value.tolist()]
    return [shown(each) for each in value] if isinstance(value, list | tuple) else value


def failed(how):
    try:
        return shown(m.fails(sample(), how))
    except Exception as error:
        return [type(error).__name__, str(error).split("\nException raised from")[0]]


def node(how):
    """Name of the node, and the gradient that it gives."""
    x = sample().requires_grad_()
    y = m.recorded(x, how)
    return [y.grad_fn.name(), torch.autograd.grad(y.sum(), x)[0].tolist()]


def grown(rounds):
    """Bytes of memory that all failures leave behind, after as many to warm up."""
    x, before = sample(), 0
    for turn in (rounds // 2, rounds):
        before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
        for i in range(turn):
            try:
                m.fails(x, WAYS[i % len(WAYS)])
            except Exception:
                continue
            finally:
                if i % 1000 == 0:
                    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() - before


def modes():
    """Generators, fake tensors before any real one, and transforms: each beside what torch gives."""
    with torch._subclasses.FakeTensorMode() as mode:
        fake = type(m.summed(mode.from_tensor(torch.ones(2)))).__name__
    real = m.summed(torch.ones(2)).tolist()
    with_gradient = torch.func.grad(lambda x: m.summed(x).sum())(torch.ones(2)).tolist()
    ours = [shown(m.drawn(sample(), torch.Generator().manual_seed(7))) for _ in range(2)]
    g, x = torch.Generator().manual_seed(7), sample()
    theirs = [x.clone().bernoulli_(0.5, generator=g), torch.randperm(8, generator=g),
              torch.normal(x, 1.0, generator=g), x.clone().uniform_(0, 1, generator=g)]  # fmt: skip
    return [fake, real, with_gradient, ours[0] == shown(theirs), ours[0] == ours[1]]


if sys.argv[2:] == ["modes"]:
    print(json.dumps(modes()))
elif len(sys.argv) > 2:
    print(json.dumps(grown(int(sys.argv[2]))))
else:
    found = {
        "identities": m.identities(sample()),
        "forms": shown(m.forms(sample())),
        "gradients": m.gradients(sample()),
    }
    found["nodes"] = {how: node(how) for how in NODES}
    print(json.dumps({**found, **{how: failed(how) for how in WAYS}}))
