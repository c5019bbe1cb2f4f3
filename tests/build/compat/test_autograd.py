"""C++ autograd functions behave as with torch's own headers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from compat_modules import SOURCES, recorded_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]

RECORDED = SOURCES / "autograd_classic.json"
"""What the cases gave with torch's own headers: the heavy test below says when it is no longer so."""


@pytest.fixture(scope="module")
def ours(compat: Callable[..., Built]) -> Built:
    """The module made of our headers."""
    return compat("grads", "autograd.cpp")


def test_values_gradients_nodes_and_exceptions_are_those_of_torch_headers(ours: Built) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    found = ours.outcomes("autograd_cases.py")
    assert len(recorded) > 18
    for name, outcome in recorded.items():
        assert found[name] == outcome, name


@pytest.mark.heavy
def test_what_is_recorded_is_what_torch_headers_give(classic: Callable[..., Built]) -> None:
    found = classic("grads", "autograd.cpp").outcomes("autograd_cases.py")
    assert found == recorded_now(RECORDED, found)


ROUNDS = """
import gc, resource, sys, torch
sys.path.insert(0, sys.argv[1])
import grads as m
x = torch.ones(2, requires_grad=True)
def once(i):
    y = m.square(x)
    if i % 2:
        y.sum().backward()
    for where in ("forward", "backward"):
        try:
            m.throws(x, where).sum().backward()
        except (RuntimeError, ValueError):
            pass
    m.split(x)
    with torch.no_grad():
        m.square(x)
    x.grad = None
def memory():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 10
for i in range(1000):
    once(i)
before = memory()
for i in range(int(sys.argv[2])):
    once(i)
print(memory() - before)
"""


KEPT = """
import gc, sys, torch, weakref
sys.path.insert(0, sys.argv[1])
import grads as m
x = torch.ones(2, requires_grad=True)
def fail():
    held = torch.ones(3)
    def pack(_):
        raise ValueError(str(held))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        try:
            torch.ops.grads_of_scripts.cube(x)  # no function of the module, which would ask what was raised
        except Exception:
            return weakref.ref(held)
left = fail()
m.square(x)
gc.collect()
assert left() is None
try:
    m.throws(x, "backward").sum().backward()
except ValueError:
    pass
try:
    m.square("no tensor")
except TypeError as error:
    assert "incompatible function arguments" in str(error), error
else:
    raise AssertionError("taken")
"""


def test_what_was_raised_is_not_kept_nor_told_again(ours: Built) -> None:
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        (sys.executable, "-c", KEPT, str(ours.folder)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _growth(ours: Built, rounds: int) -> int:
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        (sys.executable, "-c", ROUNDS, str(ours.folder), str(rounds)), capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_nodes_are_freed_with_their_graph(ours: Built) -> None:
    # 2,000 nodes that stay would be 400 kB of C++ alone, and more of Python.
    assert _growth(ours, 2000) < 300


@pytest.mark.heavy
def test_nothing_grows_in_many_rounds_with_exceptions(ours: Built) -> None:
    assert _growth(ours, 20_000) < 400
