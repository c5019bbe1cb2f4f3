"""Every operator of torch's own database of operators (OpInfo) on the pretend GPU, beside the CPU: one line of JSON.

`operator_database.py [--draw N --seed S] [--part I/N] [--samples K]`, with a CUDA build of torch, in a process that
sees the pretend GPU. Each sample input of each dtype that an operator has on a GPU counts once.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import types
import unittest
import warnings
from collections import Counter
from itertools import islice

import torch
from torch.utils._pytree import tree_leaves

# torch's tests need it for tests that expect texts, which nothing here does.
sys.modules["expecttest"] = types.ModuleType("expecttest")
sys.modules["expecttest"].TestCase = unittest.TestCase

RANDOM = {
    "bernoulli",
    "cauchy",
    "exponential",
    "geometric",
    "log_normal",
    "multinomial",
    "normal",
    "pca_lowrank",
    "rand",
}
RANDOM |= {"rand_like", "randint", "randint_like", "randn", "randn_like", "svd_lowrank", "uniform"}
UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
RANDOM |= {"nn.functional.multi_head_attention_forward"}  # its samples drop out
OF_THE_CPU_ALONE = {"sparse.mm.reduce", "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu"}
NOT_COMPARED = {"as_strided.partial_views", "to"}  # reads beside its input; goes to devices that its samples name


def on_the_cpu(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().requires_grad_(value.requires_grad)
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return "cpu" if isinstance(value, str) and value.startswith("cuda") else value


def moved(sample):
    copy = sample.transform(on_the_cpu)
    copy.kwargs = {name: on_the_cpu(value) if name == "device" else value for name, value in copy.kwargs.items()}
    return copy


def called(operator, sample):
    """The leaves of the result, or what was raised."""
    torch.manual_seed(1)
    try:
        return tree_leaves(operator(sample.input, *sample.args, **sample.kwargs)), None
    except Exception as error:  # noqa: BLE001 - counted
        return None, error


def verdict(operator, sample):
    expected, refused = called(operator, moved(sample))
    given, failed = called(operator, sample)
    if failed is not None:
        named = "cannot run on the pretend GPU" in str(failed)
        return "refused" if named or refused is not None else "failed", failed
    if refused is not None:
        return "more than the CPU", None
    by_chance = operator.name in RANDOM or "dropout" in operator.name or "rrelu" in operator.name
    for mine, theirs in zip(given, expected, strict=True):
        if not isinstance(mine, torch.Tensor):
            continue
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype or mine.device.type != "cuda":
            return "failed", AssertionError(
                f"{mine.shape} {mine.dtype} {mine.device} for {theirs.shape} {theirs.dtype}"
            )
        if by_chance or operator.name in UNINITIALISED or "fractional" in operator.name:
            continue
        try:
            exact = {"rtol": 0, "atol": 0}
            torch.testing.assert_close(mine.cpu(), theirs, equal_nan=True, check_stride=False, **exact)
        except AssertionError:
            try:
                torch.testing.assert_close(mine.cpu(), theirs, equal_nan=True, check_stride=False)
            except AssertionError as error:
                return "failed", error
            return "close", None
    return "equal", None


def main(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--only")
    options = parser.parse_args(words)
    warnings.simplefilter("ignore")
    torch.cuda.init()
    from torch.testing._internal.common_methods_invocations import op_db  # noqa: PLC0415 - asks for devices

    part, parts = map(int, options.part.split("/"))
    left_out = OF_THE_CPU_ALONE | NOT_COMPARED
    operators = [op for op in op_db if op.full_name not in left_out and "jiterator" not in op.name]
    if options.draw:
        operators = random.Random(options.seed).sample(operators, options.draw)  # noqa: S311
    operators = [op for op in operators[part::parts] if options.only in (None, op.full_name)]
    counts, failures, refusals = Counter(), {}, {}
    whole, partly, none = 0, 0, []
    for operator in operators:
        own = Counter()
        for dtype in sorted(operator.supported_dtypes("cuda"), key=str):
            for sample in islice(operator.sample_inputs("cuda", dtype), options.samples):
                kind, error = verdict(operator, sample)
                own[kind] += 1
                if error is not None:
                    found = failures if kind == "failed" else refusals
                    text = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
                    found.setdefault(operator.full_name, f"{dtype}: {text}")
        counts += own
        gone = own["refused"] + own["failed"]
        whole, partly = whole + (gone == 0), partly + (0 < gone < own.total())
        if own and gone == own.total():
            none.append(operator.full_name)
    result = {"operators": len(operators), "whole": whole, "partly": partly, "none": none, "samples": dict(counts)}
    print(json.dumps({"torch": torch.__version__, **result, "failures": failures, "refusals": refusals}))


main(sys.argv[1:])
