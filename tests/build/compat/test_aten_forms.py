"""ATen functions in each form that torch's headers declare, and calls that fail: as with torch's own headers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from compat_modules import SOURCES, recorded_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]

RECORDED = SOURCES / "aten_forms_classic.json"
"""What the cases gave with torch's own headers: the heavy test below says when it is no longer so."""
MOST_GROWTH = 24 << 20
NODES = {
    "add": "SubBackward0",
    "add a number": "SubBackward0",
    "subtract from a number": "torch::autograd::CopyBackwards",
    "multiply by a number": "MulBackward0",
    "divide by a number": "DivBackward0",
    "add into": "torch::autograd::CopyBackwards",
    "multiply into": "MulBackward0",
    "fill where": "MaskedFillBackward1",
}
"""Nodes of the graph that have other names than with torch's own headers: another operator gives the same gradient."""


@pytest.fixture(scope="module")
def ours(compat: Callable[..., Built]) -> Built:
    """The module made of our headers."""
    return compat("aten_forms", "aten_forms.cpp")


def _grown(built: Built, rounds: int) -> int:
    """Bytes of memory that as many failed calls leave behind; one argument that is lost is a megabyte."""
    words = (sys.executable, SOURCES / "aten_forms_cases.py", built.folder, str(rounds))
    # What is freed goes back to the system at once, and not when the allocator finds time.
    environ = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environ)  # noqa: TID251
    return int(done.stdout)


def test_forms_identities_gradients_and_exceptions_are_those_of_torch_headers(ours: Built) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    found = ours.outcomes("aten_forms_cases.py")
    assert len(recorded) > 15
    for how, name in NODES.items():
        assert recorded["nodes"][how][0] != name
        recorded["nodes"][how][0] = name
    for name, outcome in recorded.items():
        assert found[name] == outcome, name


def test_generators_draw_and_modes_leave_nothing_behind(ours: Built) -> None:
    words = (sys.executable, SOURCES / "aten_forms_cases.py", ours.folder, "modes")
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: TID251
    assert json.loads(done.stdout.splitlines()[-1]) == ["FakeTensor", [2.0, 2.0], [2.0, 2.0], True, True]


def test_calls_that_fail_leave_no_memory_behind(ours: Built) -> None:
    assert _grown(ours, 450) < MOST_GROWTH


@pytest.mark.heavy
def test_tens_of_thousands_of_calls_that_fail_leave_no_memory_behind(ours: Built) -> None:
    assert _grown(ours, 30_000) < MOST_GROWTH


@pytest.mark.heavy
def test_what_is_recorded_is_what_torch_headers_give(classic: Callable[..., Built]) -> None:
    found = classic("aten_forms", "aten_forms.cpp").outcomes("aten_forms_cases.py")
    assert found == recorded_now(RECORDED, found)
