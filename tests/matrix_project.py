"""A project whose sources collapse nothing: one wheel for each torch and each Python, in `tests/projects/matrix`.

Eight CUDA sources, half of them without torch, and four C++ sources, of which one binds the operators to Python.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MATRIX_PROJECT", "PYTHONS", "SMOKE", "TORCHS", "cell_names", "copy_matrix_project"]

MATRIX_PROJECT = Path(__file__).resolve().parent / "projects" / "matrix"
TORCHS = ("2.10", "2.11", "2.12", "2.13", "2.14", "2.15")
"""2.10 is for CUDA 12, which no index has an nvcc of, and 2.15 is not for Python 3.10: 19 of the 24 cells build."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SMOKE = """\
import math, torch, matrix_ops as ops
x, y = torch.randn(6, 8), torch.randn(6, 8)
assert torch.allclose(ops.axpby(x, y, 2, 3), 2 * x + 3 * y)
assert torch.equal(ops.gather_rows(x, torch.tensor([3, 1])), x[[3, 1]])
assert torch.allclose(ops.gelu(x), torch.nn.functional.gelu(x), atol=1e-6)
assert ops.histogram(x, 4, -10.0, 10.0).sum() == x.numel()
assert torch.allclose(ops.rms_norm(x, 1e-6), x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6))
assert torch.allclose(ops.rotate_pairs(x, math.pi), -x, atol=1e-5)
assert torch.equal(ops.row_max(x), x.amax(1))
assert torch.allclose(ops.row_scan(x), x.cumsum(1))
print("operators are right")
"""
"""Calls every operator on the CPU."""


def copy_matrix_project(
    root: Path,
    *,
    torchs: Iterable[str] = TORCHS,
    pythons: Iterable[str] = PYTHONS,
    archs: Iterable[str] = ("8.0",),
    sources: Iterable[str] | None = None,
) -> Path:
    """The project in `root`, for these versions alone.

    Args:
        root: not there yet.
        torchs: minors.
        pythons: as "3.11".
        archs: compute capabilities.
        sources: globs of those that are compiled; `None`: all of them, else the library does not link.
    """
    shutil.copytree(MATRIX_PROJECT, root)
    file = root / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    keys: dict[str, list[str]] = {
        "torch": [f"=={torch}.*" for torch in torchs],
        "pythons": list(pythons),
        "archs": list(archs),
        **({} if sources is None else {"sources": list(sources)}),
    }
    lines = text.splitlines()
    for key, values in keys.items():
        (place,) = (number for number, line in enumerate(lines) if line.startswith(f"{key} = "))
        lines[place] = f"{key} = {json.dumps(values)}"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def cell_names(*, torchs: Iterable[str] = TORCHS, pythons: Iterable[str] = PYTHONS, machine: str) -> list[str]:
    """What `gpuwheel plan` calls the cells of these versions, in its order."""
    pythons = [python.replace(".", "") for python in pythons]
    return [f"nvcc-cu13.0-torch{torch}-cp{python}-linux_{machine}" for torch in torchs for python in pythons]
