# ruff: noqa: E501, FBT002, PLR0911, PTH123, S311
"""Call each operator of aten_calls and that of torch.ops.aten on the same arguments: python aten_compare_cases.py FOLDER SEED ROUNDS.

Prints JSON: how many overloads gave a value at least once, how many calls were compared, and each difference.
"""

import json
import random
import sys
import warnings

sys.path.insert(0, sys.argv[1])
import aten_calls  # noqa: F401
import torch

DTYPES = [torch.float32, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool, torch.float16,
          torch.bfloat16, torch.complex64]  # fmt: skip
SHAPES = [(3, 3), (3, 3), (2, 3), (4,), (2, 3, 3), (), (1, 3), (0, 3), (2, 3, 4, 4)]
WORDS = [
    "mean",
    "sum",
    "none",
    "constant",
    "reflect",
    "floor",
    "trunc",
    "ij",
    "linear",
    "fro",
    "U",
    "L",
    "prod",
    "amax",
]
NAMED = {"reduction": [0, 1, 2], "dim": [0, 0, -1, 1], "dim0": [0, -1], "dim1": [1, 0, -2], "num_classes": [-1, 5]}


class Drawn:
    """One set of arguments."""

    def __init__(self, random_, arguments):
        self.random, self.torch = random_, torch.Generator().manual_seed(random_.randrange(1 << 30))
        self.shape, self.dtype = random_.choice(SHAPES), random_.choice(DTYPES)
        self.grad = random_.random() < 0.4
        self.values = [self.value(*each) for each in arguments]

    def tensor(self, written=False):
        shape = self.shape if self.random.random() < 0.85 else self.random.choice(SHAPES)
        dtype = self.dtype if self.random.random() < 0.85 else self.random.choice(DTYPES)
        t = (torch.randn(shape, generator=self.torch, dtype=torch.float64) * 2).to(dtype)
        how = self.random.random()
        if how < 0.2 and t.dim() > 1:
            t = t.transpose(0, 1)
        elif how < 0.3 and t.dim() > 0 and t.shape[0] > 1:
            t = torch.cat([t, t])[::2]
        return t.detach().requires_grad_(self.grad and not written and t.is_floating_point())

    def number(self):
        return torch.tensor(self.random.choice([0, 1, 2, -1, 3, 300, 0.5, 2.1, -1.7, True, 1e-3, 0.1]),
                            dtype=None).to(dtype=None)  # fmt: skip

    def value(self, kind, number, written, name):
        choice, r = self.random.choice, self.random.random()
        if number:
            v = choice([0, 1, 2, -1, 3, 300, 0.5, 2.1, -1.7, True, 0.001, 0.1])
            t = torch.tensor(v, dtype=torch.bool if v is True else torch.int64 if isinstance(v, int) else torch.float64)
            return None if kind.endswith("?") and r < 0.3 else t
        if kind.endswith("?") and r < 0.5:
            return None
        kind = kind.removesuffix("?")
        if name in NAMED:
            return [choice(NAMED[name])] if kind == "int[]" else choice(NAMED[name])
        if kind == "Tensor":
            if name in {"index", "indices", "mask", "condition"} and r < 0.8:
                t = torch.randint(0, 3, self.shape, generator=self.torch)
                return t.bool() if name in {"mask", "condition"} else t
            return self.tensor(written)
        if kind == "Tensor[]":
            return [self.tensor(written) for _ in range(choice([1, 2, 2, 3]))]
        if kind == "int[]":
            size = name in {"size", "shape", "output_size", "repeats", "dims"}
            return (
                list(self.shape)
                if size and r < 0.9
                else [choice([0, 1, 1, 2, -1]) for _ in range(choice([1, 1, 2, 2, 3]))]
            )
        return {
            "int": choice([0, 1, 1, 2, -1, 3]), "float": choice([0.0, 1.0, 0.5, 2.0]), "bool": r < 0.5,
            "str": choice(WORDS), "ScalarType": choice(DTYPES), "Layout": torch.strided, "Device": torch.device("cpu"),
            "MemoryFormat": choice([torch.contiguous_format, torch.preserve_format]),
        }[kind]  # fmt: skip


def copied(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone(memory_format=torch.preserve_format).requires_grad_(value.requires_grad)
    return [copied(each) for each in value] if isinstance(value, list) else value


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)


def shown(value, inputs):
    if isinstance(value, torch.Tensor):
        same = [i for i, each in enumerate(inputs) if each is value]
        inside = [i for i, each in enumerate(inputs) if each.untyped_storage()._cdata == value.untyped_storage()._cdata]
        plain = value.detach().resolve_conj().resolve_neg()
        return [str(value.dtype), list(value.shape), list(value.stride()), value.requires_grad, same, inside,
                repr(plain.tolist())]  # fmt: skip
    return [shown(each, inputs) for each in value] if isinstance(value, list | tuple) else repr(value)


def outcome(operator, given):
    inputs = list(tensors(given))
    try:
        result = operator(*given)
    except Exception as error:
        text = str(error).split("\nException raised from")[0]
        kind, _, rest = text.partition("\n")
        if operator.__class__.__name__ == "OpOverload":  # ours: it says what C++ threw
            return [kind.rpartition(".")[2], rest]
        return [type(error).__name__.lstrip("_"), text]
    found = shown(result, inputs)
    leaves = [each for each in inputs if each.requires_grad and each.is_leaf]
    ends = [each for each in tensors(result) if each.requires_grad]
    if leaves and ends:
        try:
            got = torch.autograd.grad([each.abs().sum() for each in ends], leaves, allow_unused=True)
            found = [found, shown([each for each in got if each is not None], [])]
        except Exception as error:  # a derivative of torch's own that cannot be had
            found = [found, type(error).__name__, str(error)[:60]]
    return [found, shown(inputs, [])]


def numbers(given, arguments):
    return [
        each.item() if isinstance(each, torch.Tensor) and argument[1] else each
        for each, argument in zip(given, arguments, strict=True)
    ]


def theirs(described):
    operator = getattr(getattr(torch.ops.aten, described["base"]), described["overload"] or "default")
    named = [each.name for each in operator._schema.arguments if each.kwarg_only]

    def call(*given):
        given = numbers(given, described["arguments"])
        at = len(given) - len(named)
        return operator(*given[:at], **dict(zip(named, given[at:], strict=True)))

    return call


def main():
    seed, rounds = int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    with open(f"{sys.argv[1]}/aten_calls.json") as file:
        operators = json.load(file)
    succeeded, calls, different = set(), 0, []
    for described in operators:
        ours, reference = getattr(torch.ops.aten_calls, described["name"]).default, theirs(described)
        random_ = random.Random(f"{seed} {described['base']} {described['overload']}")
        for _ in range(rounds * 10 if described["hot"] else rounds):
            drawn = Drawn(random_, described["arguments"]).values
            with torch.set_grad_enabled(random_.random() < 0.7):
                expected, found = outcome(reference, copied(drawn)), outcome(ours, copied(drawn))
            calls += 1
            if not isinstance(expected[0], str):
                succeeded.add(described["name"])
            if expected != found:
                name = f"{described['base']}.{described['overload']}"
                different.append([name, repr(drawn)[:300], expected, found])
    print(json.dumps({"succeeded": len(succeeded), "calls": calls, "different": different}))


main()
