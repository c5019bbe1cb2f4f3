"""Generated functions of ATen do what torch.ops.aten does: values, strides, aliases, gradients, exceptions."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from compat_modules import SOURCES

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]

GENERATED = resource("include", "compat", "gpuwheel_compat", "generated")


def _compared(build: Callable[..., Built], folder: Path, seed: int, count: int, rounds: int) -> dict[str, Any]:
    """Draw overloads, build a library that calls them, and compare each on random arguments."""
    draw = (sys.executable, SOURCES / "aten_draw_cases.py", GENERATED, folder, str(seed), str(count))
    subprocess.run(draw, check=True)  # noqa: TID251 (torch is not imported here)
    built = build("aten_calls", folder / "aten_calls.cpp")
    (built.folder / "aten_calls.json").write_bytes((folder / "aten_calls.json").read_bytes())
    compare = (sys.executable, SOURCES / "aten_compare_cases.py", built.folder, str(seed), str(rounds))
    done = subprocess.run(compare, capture_output=True, text=True, check=False)  # noqa: TID251
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_drawn_operators_do_what_torch_does(compat: Callable[..., Built], tmp_path: Path) -> None:
    """Those with calls of their own, ten times as often as the others."""
    found = _compared(compat, tmp_path, seed=1, count=70, rounds=2)
    assert found["different"] == []
    assert found["calls"] > 850
    assert found["succeeded"] > 55


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_hundreds_of_operators_do_what_torch_does(compat: Callable[..., Built], tmp_path: Path, seed: int) -> None:
    found = _compared(compat, tmp_path, seed=seed, count=480, rounds=12)
    assert found["different"] == []
    assert found["succeeded"] >= 300


def test_every_operator_that_is_left_out_says_why() -> None:
    lines = (GENERATED / "refused.txt").read_text(encoding="utf-8").splitlines()
    reasons = dict(line.split(": ", 1) for line in lines)
    assert reasons["cholesky"] == "torch 2.14 and 2.15 have no such operator; use at::linalg_cholesky"
    assert reasons["_foreach_add.ScalarList"].startswith("lists of Scalar cannot cross")
    assert reasons["set_.source_Storage"].startswith("a Storage cannot cross")
    assert reasons["_flash_attention_forward"].startswith("its schema is not the same in torch 2.10 to 2.15")
    assert all("; use " in reason or "; call it in Python" in reason for reason in reasons.values())
