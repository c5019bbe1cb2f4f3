"""Call functions that throw, or are given what they do not take, argv[2] times: prints by how many kB memory grew."""

import gc
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
import comparison as m

X, Y, BAD = torch.ones(2, 3), torch.ones(2, 3), object()
TEXTS = ("x.view({7, 7})", "x.index({0, 0, 0, 0})", "Slice(0, 1, 0)", "Tensor() + x", "x.item<float>()", "x[9]")
CALLS = [
    *((m.text, name, X, Y) for name in TEXTS),
    (m.text, 'TORCH_CHECK_VALUE(false, "value ", 1)', X, Y),
    (m.text, "x.dim()", BAD, Y),
    (m.text, "x.dim()", X, BAD),
    (m.text, 3, X, Y),
    (m.text, "x.dim()", X),
    (m.tensors, "no such", X, Y),
    (m.tensors, "x.index({x > 1})", X, BAD),
    (m.tensors, "torch::tensor({{1, 2}, {3}})", X, Y),
]


def rounds(count):
    raised = 0
    for i in range(count):
        function, *given = CALLS[i % len(CALLS)]
        try:
            function(*given)
        except Exception:
            raised += 1
    assert raised == count
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


before = rounds(10_000)
print(json.dumps({"grown": rounds(int(sys.argv[2])) - before}))
