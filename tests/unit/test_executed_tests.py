"""The session that executes every test says what is wrong, and its page is that of the newest result."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).resolve().parents[2] / "ci" / "executed"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setitem(sys.modules, "cells", _load("cells"))
    return _load("executed_tests")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for names
    spec.loader.exec_module(module)
    return module


def test_what_must_not_be_is_told(session: ModuleType) -> None:
    good = session.Outcome(
        "sample", "8.0", "2.15.0", 1, passed=9, kernels=2, skipped={"needs 22 GB of free device memory": 1}
    )
    assert list(good.wrong()) == []
    changes = (
        {"failed": 1},
        {"passed": 0},
        {"reports": 1},
        {"never": ["swiglu<float, 1>"]},
        {"kernels": 0},
        {"problem": "no wheel"},
        {"skipped": {"start pytest with --fake-gpu": 3}},
    )
    for change in changes:
        assert len(list(replace(good, **change).wrong())) == 1, change


def test_a_whole_run_has_each_arch_and_each_torch(session: ModuleType) -> None:
    found = list(session.cross(["sample"], session.releases()))
    assert {cell.arch for cell in found} == {"7.5", "8.0", "9.0", "10.0"}
    assert {cell.torch for cell in found} == set(session.releases())
    assert len(set(found)) == len(found)


def test_the_page_is_that_of_the_newest_result(session: ModuleType) -> None:
    newest = json.loads(max((FOLDER / "results").glob("*.json")).read_text(encoding="utf-8"))
    assert session.PAGE.read_text(encoding="utf-8") == session.page(newest)
    assert newest["wrong"] == 0
