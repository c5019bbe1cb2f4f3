"""Calls every function of autograd.cpp, and prints what came out: the same for torch's headers and for ours."""

import gc
import json
import os
import re
import sys
import threading
import warnings

sys.path.insert(0, sys.argv[1])
import grads as m  # lies in that folder
import torch

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def leaf(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype, requires_grad=True)


def shown(value):
    if isinstance(value, torch.Tensor):
        # Which node of torch's own stands there is no part of it: operators have the same gradient by others.
        node = None if value.grad_fn is None else value.grad_fn.name()
        node = node if node is None or node.startswith("torch::autograd") else "of torch"
        return [
            value.tolist(),
            str(value.dtype),
            value.requires_grad,
            node,
            "inference" if value.is_inference() else value._version,
        ]
    if isinstance(value, list | tuple):
        return [shown(each) for each in value]
    return value


def outcome(function, *args, **kwargs):
    try:
        return shown(function(*args, **kwargs))
    except Exception as error:
        text = re.sub(r"0x[0-9a-f]+", "ADDRESS", str(error).split("\nException raised from")[0])
        return [type(error).__name__, text]


@case
def single():
    x = leaf(1.0, 2.0, 3.0)
    y = m.square(x)
    y.sum().backward()
    return [y, repr(y), type(y.grad_fn).__name__, x.grad]


@case
def no_graph():
    x = leaf(1.0, 2.0)
    with torch.no_grad():
        first = m.square(x)
    with torch.inference_mode():
        second = m.square(x)
    return [first, second, second.is_inference(), m.square(x.detach()), m.square(torch.ones(2))]


@case
def many_arguments():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    with_b = m.mixed(a, b)
    torch.autograd.backward(with_b, [torch.ones(2, dtype=torch.float64), torch.ones((), dtype=torch.float64)])
    without = m.mixed(a, None)
    without[0].sum().backward()
    return [with_b, without, a.grad, b.grad]


@case
def double_backward():
    got = []
    for function in (m.square, m.cube, m.saved):
        x = leaf(0.5, 2.0)
        (first,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
        second = torch.autograd.grad(first.sum(), x, create_graph=True)
        got += [first, second, torch.autograd.gradcheck(function, x), torch.autograd.gradgradcheck(function, x)]
    x = leaf(2.0)
    return [*got, m.grad_of(m.cube(x), x, True), m.grad_of(m.cube(x), x, False)]


@case
def in_place():
    x = leaf(1.0, 2.0)
    middle = x * 1
    (out,) = m.in_place(middle, True)
    out.sum().backward()
    base = leaf(1.0, 2.0) * 1
    view = base[:1]
    (of_view,) = m.in_place(view, True)
    with torch.no_grad():
        plain = torch.ones(2)
        bare = m.in_place(plain, True)
    return [out is middle, out, x.grad, of_view is view, of_view, base, bare[0] is plain, bare]


@case
def in_place_refused():
    return [
        outcome(m.in_place, leaf(1.0), True),
        outcome(lambda: m.in_place(leaf(1.0, 2.0).unbind()[0], True))[0],
        outcome(lambda: m.in_place(leaf(1.0) * 1, False)),
    ]


@case
def marks():
    x = leaf(1.0, 2.0)
    value, index, extra = m.split(x)
    value.sum().backward()
    y = leaf(1.0)
    m.sparse(y)[0].sum().backward()
    return [value, index, extra, x.grad, y.grad]


@case
def outputs_that_are_inputs():
    x, y = leaf(1.0), leaf(2.0)
    same, _ = m.same(x, y)
    plain = torch.ones(1)
    with torch.no_grad():
        again, _ = m.same(plain, plain)
    (same * 2).backward()
    return [same is x, same, x.grad, again is plain, again._is_view(), again._base is plain]


@case
def wrong_gradients():
    x = leaf(1.0, 2.0)
    few = outcome(lambda: m.count(leaf(1.0), 0).sum().backward())
    right = outcome(lambda: torch.autograd.grad(m.surplus(x).sum(), x))
    defined = outcome(lambda: m.count(x, 0).sum().backward())
    many = outcome(lambda: m.count(leaf(1.0, 2.0, 3.0), 0).sum().backward())
    shape = outcome(lambda: m.wrong_shape(x).sum().backward())
    return [few, right, defined, many, shape]


@case
def exceptions():
    x = leaf(1.0)
    return [
        outcome(m.throws, x, "forward"),
        outcome(m.throws, x, "value"),
        outcome(lambda: m.throws(x, "backward").sum().backward()),
    ]


@case
def freed_and_modified():
    x = leaf(1.0, 2.0)
    y = m.square(x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    freed = outcome(lambda: y.sum().backward())
    z = m.unused(x)
    z.sum().backward()
    never_asked = outcome(lambda: z.sum().backward())
    middle = x * 1
    late = m.square(middle)
    middle.add_(1)
    modified = outcome(lambda: late.sum().backward())
    kept = m.saved(x)
    with torch.no_grad():
        kept.mul_(2)
    return [freed, never_asked, modified, outcome(lambda: kept.sum().backward())]


@case
def needs():
    a, b, c = leaf(1.0), leaf(1.0), torch.ones(1, dtype=torch.float64)
    got = []
    for first, second, wanted in (
        (a, b, [a]),
        (a, b, [b]),
        (a, b, [a, b]),
        (a, c, [a]),
        (c, b, [b]),
        (a * 1, b * 1, [b]),
    ):
        got.append(
            outcome(lambda f=first, s=second, w=wanted: torch.autograd.grad(m.needs(f, s), w, allow_unused=True))
        )
    m.needs(a, b).backward()
    return [got, a.grad, b.grad]


@case
def no_variables():
    x = leaf(1.0)
    return [m.lonely(2), outcome(m.many, [x, x * 1], x), outcome(m.many, [torch.ones(1), torch.ones(1)], x)]


@case
def hooks():
    seen = []
    x = leaf(1.0, 2.0)
    y = m.square(x)
    y.register_hook(lambda grad: grad * 3)
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append([shown(inputs), shown(outputs)]))
    y.grad_fn.register_prehook(lambda outputs: seen.append(shown(outputs)))
    y.sum().backward()
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(shown(t)) or t, lambda t: t * 2):
        z = m.square(x)
    z.sum().backward()
    return [seen, packed, x.grad, [each[0].name() for each in y.grad_fn.next_functions]]


@case
def threads():
    x = leaf(1.0, 2.0)
    y = m.cube(m.square(x))
    got = [None] * 8

    def run(at):
        got[at] = torch.autograd.grad(y.sum(), x, retain_graph=True, create_graph=bool(at % 2))

    running = [threading.Thread(target=run, args=(at,)) for at in range(len(got))]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return [got, m.run_backward([y.sum(), m.square(x).sum()], False), x.grad]


@case
def versions():
    x, y = torch.ones(2), torch.ones(2)
    m.bump(x)
    m.bump(y[:1])
    with torch.inference_mode():
        inference = torch.ones(2)
    return [x._version, y._version, outcome(m.bump, inference)]


@case
def transforms():
    return outcome(torch.func.grad(lambda x: m.square(x).sum()), torch.ones(2))


@case
def compiled_and_traced():
    torch._dynamo.config.suppress_errors = False
    x = leaf(1.0, 2.0)
    y = torch.compile(lambda t: m.square(t * 2) + 1, backend="eager")(x)
    y.sum().backward()
    checkpointed = torch.utils.checkpoint.checkpoint(m.cube, x, use_reentrant=False)
    checkpointed.sum().backward()
    return [y, x.grad]


class Stop(BaseException):
    """No Exception, as those that end a recomputation early."""


@case
def exceptions_of_hooks():
    def stop(kind):
        def pack(_):
            raise kind("packed enough")

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            try:
                m.square(leaf(1.0))
            except (ValueError, Stop) as error:
                return [type(error).__name__, str(error)]

    return [stop(ValueError), stop(Stop)]


@torch.jit.script
def scripted_twice(x: torch.Tensor):
    return torch.ops.grads_of_scripts.cube(torch.ops.grads_of_scripts.cube(x) * 2)


@case
def scripted():
    got = []
    for _ in range(4):  # the executor changes its mind about a graph in its first runs
        x = leaf(0.5, 1.0)
        y = scripted_twice(x)
        y.sum().backward()
        with torch.no_grad():
            plain = scripted_twice(x)
        got.append([y.tolist(), x.grad, plain])
    futures = [torch.jit.fork(scripted_twice, leaf(0.5)) for _ in range(4)]
    return [got, [torch.jit.wait(each).tolist() for each in futures], x.grad]


@case
def modes():
    seen = []

    class Mode(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            del types
            seen.append(str(function).partition(".")[0] == "aten")
            return function(*args, **(kwargs or {}))

    x = leaf(0.5, 1.0)
    with Mode():
        y = m.cube(x)
        y.sum().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = m.square(x)
    return [y, x.grad, z, any(seen)]


@case
def forked():
    x = leaf(0.5, 1.0)
    y = m.cube(x)
    reader, writer = os.pipe()
    if not (child := os.fork()):
        torch.set_num_threads(1)
        y.sum().backward()
        (again,) = torch.autograd.grad(m.square(x).sum(), x)
        os.write(writer, json.dumps([x.grad.tolist(), again.tolist()]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        got = json.loads(answer.read() or "null")
    os.waitpid(child, 0)
    y.sum().backward()
    return [got, x.grad]


@case
def anomaly():
    x = leaf(1.0)
    with warnings.catch_warnings(record=True), torch.autograd.detect_anomaly():
        return [outcome(lambda: m.throws(x, "backward").sum().backward()), m.square(x)]


def main():
    results = {name: outcome(function) for name, function in CASES.items()}
    gc.collect()
    print(json.dumps(results))


main()
