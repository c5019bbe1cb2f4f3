"""torch's own database of operators (OpInfo) on the pretend GPU, beside the CPU: a line of JSON for each entry.

`database.py [--draw N --seed S] [--after NAME] [--count N] [--samples K]`, with a CUDA build of torch, in a process
that sees the pretend GPU. Each aspect of each sample input of each dtype that an operator has on a GPU counts once.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import types
import unittest
import warnings
from collections import Counter
from itertools import islice
from typing import Any

import torch
from aspects import OF_A_SAMPLE, Verdict, errors, more_dtypes
from comparing import first_line

# torch's tests need it for tests that expect texts, which nothing here does.
sys.modules["expecttest"] = types.ModuleType("expecttest")
sys.modules["expecttest"].TestCase = unittest.TestCase  # type: ignore[attr-defined]

OF_THE_CPU_ALONE = {"sparse.mm.reduce", "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu"}
NOT_COMPARED = {"as_strided.partial_views", "to"}  # reads beside its input; goes to devices that its samples name
SECONDS = 240  # of one entry


class Report:
    """What became of one entry."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.found: dict[tuple[str, str], dict[str, Any]] = {}

    def note(self, aspect: str, verdict: Verdict, dtype: torch.dtype | None) -> None:
        """One verdict; of each kind, the first text and all dtypes are kept."""
        kind, text = verdict
        self.counts.setdefault(aspect, Counter())[kind] += 1
        if kind in {"equal", "close"}:
            return
        kept = self.found.setdefault((aspect, kind), {"aspect": aspect, "kind": kind, "dtypes": set(), "text": text})
        kept["dtypes"].add(str(dtype).removeprefix("torch."))

    def document(self, name: str) -> dict[str, Any]:
        """As JSON."""
        found = [{**kept, "dtypes": sorted(kept["dtypes"])} for kept in self.found.values()]
        return {"operator": name, "counts": {key: dict(value) for key, value in self.counts.items()}, "found": found}


def database() -> dict[str, Any]:
    """Its entries by name; those of lists of tensors ("_foreach_add") are in tables of their own."""
    from torch.testing._internal import common_methods_invocations as tables  # noqa: PLC0415 - asks for devices

    lists = [value for name, value in vars(tables).items() if name.startswith("foreach_") and name.endswith("_op_db")]
    entries = [*tables.op_db, *(entry for table in lists for entry in table)]
    left_out = OF_THE_CPU_ALONE | NOT_COMPARED
    return {op.full_name: op for op in entries if op.full_name not in left_out and "jiterator" not in op.name}


def looked_at(operator: Any, samples: int) -> Report:
    """Every aspect of one entry."""
    report = Report()
    for dtype in sorted(operator.supported_dtypes("cuda"), key=str):
        wants = dtype in operator.supported_backward_dtypes("cuda")
        try:
            given = list(islice(operator.sample_inputs("cuda", dtype, requires_grad=wants), samples))
        except Exception as error:  # noqa: BLE001 - counted
            report.note("samples", ("failed", first_line(error)), dtype)
            continue
        for sample in given:
            for aspect in OF_A_SAMPLE:
                one = (
                    sample
                    if "gradient" in aspect.__name__ or aspect.__name__ == "forward_derivative"
                    else plain(sample)
                )
                verdict = aspect(operator, one, dtype)
                if verdict is not None:
                    report.note(aspect.__name__, verdict, dtype)
    for verdict in errors(operator):
        report.note("errors", verdict, None)
    for dtype, verdict in more_dtypes(operator):
        report.note("more dtypes", verdict, dtype)
    return report


def plain(sample: Any) -> Any:
    """The same without derivatives."""
    return sample.transform(lambda v: v.detach() if isinstance(v, torch.Tensor) else v)


def _late(*_: object) -> None:
    msg = f"{SECONDS} s were not enough"
    raise TimeoutError(msg)


def main(words: list[str]) -> None:
    """Print them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draw", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--after", default="")
    parser.add_argument("--count", type=int)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--only")
    options = parser.parse_args(words)
    warnings.simplefilter("ignore")
    torch.cuda.init()
    operators = database()
    names = sorted(operators)
    if options.draw:
        names = random.Random(options.seed).sample(names, options.draw)  # noqa: S311
    names = [name for name in names if name > options.after and options.only in (None, name)]
    signal.signal(signal.SIGALRM, _late)
    for name in names[: options.count]:
        print(json.dumps({"begins": name}), flush=True)
        signal.alarm(SECONDS)
        try:
            document = looked_at(operators[name], options.samples).document(name)
        except TimeoutError as error:
            document = {"operator": name, "counts": {}, "found": [{"kind": "slow", "text": str(error)}]}
        signal.alarm(0)
        print(json.dumps({**document, "torch": torch.__version__}), flush=True)


main(sys.argv[1:])
