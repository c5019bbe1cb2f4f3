"""Dtypes that an operator's kernel for CUDA refuses and that for the CPU takes: no test may pass with them."""

from __future__ import annotations

import json
from functools import cache

import torch

from gpuwheel._resources import resource

__all__ = ["not_on_gpus"]


def not_on_gpus(name: str) -> dict[torch.dtype, str]:
    """Dtype -> the kernel that refuses it, of the first tensor of an operator.

    Args:
        name: with the overload, "mm.out"; `add_` is as `add`.
    """
    return _table().get(name.partition(".")[0].rstrip("_"), {})


@cache
def _table() -> dict[str, dict[torch.dtype, str]]:
    rules = json.loads(resource("data", "torch_gpu_dtypes.json").read_text(encoding="utf-8"))["rules"]
    table: dict[str, dict[torch.dtype, str]] = {}
    release = tuple(map(int, torch.__version__.split(".")[:2]))
    for rule in rules:
        if release <= tuple(map(int, rule.get("until", "999.0").split("."))):
            for operator in rule["operators"]:
                table.setdefault(operator, {}).update({getattr(torch, d): rule["kernel"] for d in rule["dtypes"]})
    return table
