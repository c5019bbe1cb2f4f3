"""The mistakes of `ci/mutants.toml` are ones that the code as it is could have."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def test_every_mutant_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "ci"))
    monkeypatch.delitem(sys.modules, "mutants", raising=False)
    mutants = importlib.import_module("mutants").read_mutants()
    assert len(mutants) > 30
    assert [problem for mutant in mutants if (problem := mutant.problem())] == []
    assert [test for mutant in mutants for test in mutant.tests if not (ROOT / test).exists()] == []
