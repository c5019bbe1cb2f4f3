"""What stays until the process ends is left to itself by the garbage collector, and nothing else is."""

from __future__ import annotations

import sys

import pytest

from gpuwheel._run import run

STATE = "print(gc.isenabled(), gc.get_freeze_count() > 0)"


def _printed(*lines: str) -> str:
    return run(
        [sys.executable, "-c", "\n".join(["import gc, weakref", "from gpuwheel._imports import staying", *lines])]
    ).stdout.strip()


@pytest.mark.parametrize("importing", ["pass", "import decimal", "raise ImportError"])
def test_the_collector_works_again_after_an_import_that_may_fail(importing: str) -> None:
    code = ["try:", f"  with staying(): {importing}", "except ImportError: pass"]

    assert _printed(*code, STATE) == "True True"


def test_what_is_made_later_is_collected() -> None:
    cycle = "a = A(); a.itself = a; seen = weakref.ref(a); del a"
    code = ["with staying(): pass", "class A: pass", cycle, "with staying(): pass", "gc.collect()", "print(seen())"]

    assert _printed(*code) == "None"


def test_a_collector_that_somebody_switched_off_stays_so() -> None:
    code = ["gc.disable()", "with staying(): import decimal", STATE]

    assert _printed(*code) == "False False"
