# ruff: noqa: E501 (tables of calls)
"""What the functions of module.cpp give and throw, as JSON in the last line; the argument is the folder of the module."""

import hashlib
import json
import pickle
import re
import sys

import numpy as np
import torch

sys.path.insert(0, sys.argv[1])

import twin as m  # lies in that folder

X = torch.arange(6.0).reshape(2, 3)


class Recorded(torch.Tensor):
    """Says whether anybody asked for its `__torch_function__`."""

    asked = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.asked += 1
        return super().__torch_function__(func, types, args, kwargs or {})


class Mode(torch.overrides.TorchFunctionMode):
    asked = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        Mode.asked += 1
        return func(*args, **(kwargs or {}))


class Indexed:
    def __index__(self):
        return 7


class Floated:
    def __float__(self):
        return 1.5


class Unshown:
    def __repr__(self):
        raise ValueError


def shown(value):
    text = re.sub(r"0x[0-9a-f]+", "0x", repr(value))
    return f"{type(value).__name__}: {text}"


def outcome(function, *args, **kwargs):
    try:
        return shown(function(*args, **kwargs))
    except BaseException as error:
        kind = type(error)
        return [kind.__module__, kind.__name__, re.sub(r"0x[0-9a-f]+", "0x", str(error))]


NUMBERS = (
    *(
        0,
        1,
        -1,
        True,
        2.0,
        2.5,
        255,
        256,
        -129,
        2**31 - 1,
        2**31,
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64,
        -(2**63),
        "1",
        None,
    ),
    *(
        1j,
        np.int32(3),
        np.int64(-3),
        np.float32(1.5),
        np.float64(2.0),
        np.bool_(True),
        torch.tensor(2),
        torch.tensor(2.7),
    ),
    *(torch.tensor([1, 2]), torch.tensor(True), [], [1], Indexed(), Floated(), b"1", float("nan"), 1e300),
)
TEXTS = (
    "",
    "a",
    "\u00e4\u20ac\U0001f600",
    'a"\\\n\x01\x7f',
    "a\0b",
    b"bytes",
    bytearray(b"array"),
    3,
    None,
    "\ud800",
    b"\xff",
)
LISTS = (
    *(
        [],
        [1, 2, 3],
        (1, 2, 3),
        [1.5],
        [1, None],
        range(3),
        {1, 2, 3},
        frozenset({1}),
        {1: 2},
        "123",
        b"123",
        iter([1]),
    ),
    *(
        (x for x in (1, 2, 3)),
        {1: 2}.keys(),
        {1: 2}.values(),
        map(int, "12"),
        np.array([1, 2, 3]),
        torch.tensor([1, 2, 3]),
    ),
    *([True], [X], [[1]], [[1], (2, 3)], None, 5, ["a"], [2**63]),
)
VALUES = (
    {},
    {"a": 1},
    {"a": "b"},
    {1: 2},
    {"a": X},
    {"a": [1.5]},
    [{"a": [1.5]}],
    [],
    None,
    ("a", 1),
    ["a", 1],
    "ab",
    1,
    "s",
    1.5,
)
OTHERS = (
    torch.half,
    torch.device("cpu"),
    torch.device("cuda:1"),
    "cpu",
    5,
    torch.strided,
    None,
    X,
    [X, None],
    [X],
    Unshown(),
)


def converted():
    found = {}
    for names, values in (
        (("small", "byte", "wide", "single_float", "flag", "strict_flag", "strict_float", "number"), NUMBERS),
        (("over", "chosen", "maybe", "captured", "function", "released"), NUMBERS),
        (("py_int",), NUMBERS[:9]),
        (("text", "py_str", "py_bytes", "over"), TEXTS),
        (("doubles", "nested", "fixed", "unique", "bools", "tensors", "py_list", "py_tuple", "holes"), LISTS),
        (("table", "named", "either", "swap", "deep", "py_list"), VALUES),
        (("kind", "kind_default", "place", "tensors", "named", "no_none", "several", "py_list"), OTHERS),
    ):
        for name in names:
            for at, value in enumerate(values):
                fresh = (x for x in (1, 2, 3)) if type(value).__name__ == "generator" else value
                fresh = map(int, "12") if type(value).__name__ == "map" else fresh
                found[f"{name} {at} {shown(value) if not isinstance(value, Unshown) else 'Unshown'}"] = outcome(
                    getattr(m, name), fresh
                )
    return found


def calls():
    return {
        "by place": [
            outcome(m.noop, X, X, X),
            outcome(m.noop, X, X, X, 2),
            outcome(m.mixed, X),
            outcome(m.mixed, X, 1, False, "é", (5,), 2),
        ],
        "by name": [
            outcome(m.noop, X, z=X, y=X),
            outcome(m.noop, X, X, X, eps=None),
            outcome(m.mixed, X, d=1.5, s=b"x", n=True),
        ],
        "wrong": [
            outcome(m.noop),
            outcome(m.noop, X, X),
            outcome(m.noop, X, X, X, bad=2),
            outcome(m.noop, X, X, X, x=X),
            outcome(m.noop, *[X] * 5),
        ],
        "None": [
            outcome(m.noop, None, X, X),
            outcome(m.inplace, X.clone(), None),
            outcome(m.inplace, X.clone(), bias=X),
            outcome(m.undefined),
            outcome(m.several, X),
        ],
        "kinds": [
            outcome(m.kw, 1, 2),
            outcome(m.kw, 1, b=3),
            outcome(m.kw, b=1, a=2),
            outcome(m.kw),
            outcome(m.pos, 1, 2),
            outcome(m.pos, a=1),
            outcome(m.pos, 1, b=5),
        ],
        "rest": [
            outcome(m.counted),
            outcome(m.counted, 1, "a", X, k=None),
            outcome(m.first, 1, 2, 3),
            outcome(m.first, 1, y=2),
            outcome(m.first, x=1),
        ],
        "overloads": [
            outcome(m.over, 1.0, 2),
            outcome(m.over, a="x"),
            outcome(m.over, a=1),
            outcome(m.over, b=1, a=2),
            outcome(m.over, 1, 2, 3),
        ],
        "results": [
            outcome(m.pair, X),
            outcome(m.single, X),
            outcome(m.table, {"z": 1}),
            outcome(m.py_dict, X, {"a": 4}),
            outcome(m.py_dict, X, {}),
        ],
        "submodule": [
            outcome(m.sub.inner),
            outcome(m.sub.inner, "a"),
            shown(m.sub.LIMIT),
            m.sub.__name__,
            m.sub.__doc__,
        ],
        "unshown": outcome(m.small, Unshown()),
    }


def exceptions():
    found = [outcome(m.raises, which) for which in range(23)]
    return [*found, outcome(m.own, "mine"), [each.__name__ for each in m.Mine.__mro__], m.Mine.__module__]


def identities():
    parameter, subclass = torch.nn.Parameter(X.clone()), X.clone().as_subclass(Recorded)
    Recorded.asked = 0
    results = [m.noop(X, X, X) is X, m.noop(parameter, X, X) is parameter, m.noop(subclass, X, X) is subclass]
    results += [type(m.twice(subclass, 2.0)).__name__, m.tensors([subclass])[0] is subclass, Recorded.asked]
    with Mode():
        m.twice(X, 2.0)
        m.over("a")
        results.append(Mode.asked)
    holder = type("Holder", (), {"op": m.small})
    return [
        *results,
        holder().op(3),
        pickle.loads(pickle.dumps(m.small)) is m.small,
        pickle.loads(pickle.dumps(m.sub.inner))(4),
    ]


def transforms():
    batched = torch.func.vmap(m.twice, in_dims=(0, None))(X, 2.0)
    slope = torch.func.vmap(torch.func.grad(lambda each: m.twice(each, 3.0).sum()))(X)
    return [shown(batched), shown(slope)]


def texts():
    # What is here alone, or names a file or a class of pybind11, is not compared.
    here = {"racing", "racing_free", "count", "reset", "keys", "lengths", "is_null"}
    names = [name for name in sorted(dir(m)) if not name.startswith("__") and name not in here]
    values = {
        name: shown(getattr(m, name))
        for name in ("VERSION", "NAME", "SIZES", "HALF", "__doc__", "__name__", "__package__")
    }
    functions = {
        name: [getattr(m, name).__doc__, getattr(m, name).__name__, getattr(m, name).__module__]
        for name in names
        if callable(getattr(m, name))
    }
    functions.pop("Mine")
    return [names, values, functions]


def brief(value):
    """The same with each long text as its beginning and its digest, for a record that is short."""
    if isinstance(value, dict):
        return {key: brief(item) for key, item in value.items()}
    if isinstance(value, list):
        return [brief(item) for item in value]
    if isinstance(value, str) and len(value) > 60:
        return f"{value[:30]} ... {hashlib.sha256(value.encode(errors='replace')).hexdigest()[:16]}"
    return value


CASES = (converted, calls, exceptions, identities, transforms, texts)
print(json.dumps(brief({case.__name__: case() for case in CASES}), indent=0).replace("\n", ""))
