"""Torch's C++ API is the same with gpuwheel's headers as with torch's own: one source, compiled against both."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]

DIFFERENCES: frozenset[str] = frozenset()
"""Calls that may differ: each is in the list of docs/explanation/compat.md. None of these is."""


@pytest.fixture(scope="module")
def ours(compat: Callable[..., Built]) -> Built:
    """The module made of our headers."""
    return compat("comparison", "comparison.cpp")


def test_every_call_gives_the_same_values_exceptions_aliases_and_gradients(
    ours: Built, classic: Callable[..., Built]
) -> None:
    expected = classic("comparison", "comparison.cpp", optimise="-O0").outcomes("comparison_cases.py")
    found = ours.outcomes("comparison_cases.py")
    assert len({name.partition(": ")[2] for name in expected}) > 430
    assert expected.keys() == found.keys()
    different = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
    unexplained = {name: both for name, both in different.items() if name.partition(": ")[2] not in DIFFERENCES}
    assert not unexplained, "\n".join(f"{name}\n  torch: {a}\n  ours:  {b}" for name, (a, b) in unexplained.items())


def test_nothing_in_the_library_is_named_as_torchs_own(ours: Built) -> None:
    (library,) = ours.folder.glob("**/libcomparison.so")
    undefined = _names("-D", "-u", library)
    own = re.compile(
        r"_ITM_|__gmon_start__|__cxa_|__gxx_|_Unwind_|_ZNS|_ZNKS|_ZS|_ZTVS|_ZTVN10__cxxabiv1|_ZTIS|_ZTINS|_Zn|_Zd"
    )
    foreign = [
        name
        for name in undefined
        if "@" not in name and not name.startswith(("aoti_torch_", "torch_")) and not own.match(name)
    ]
    assert not foreign, "neither torch's C functions nor those of the system"
    typed = re.compile(r"_ZT[ISV]N?(2at|3c10|5torch|6caffe2|8pybind11)")
    assert not [name for name in _names("-a", library) if typed.match(name)], (
        "catch takes types for torch's by their names"
    )
    exported = [
        name for name in _names("-D", "--defined-only", library) if re.match(r"_ZN?K?(2at|3c10|5torch|6caffe2)", name)
    ]
    assert not exported, "the loader would give them to others, or others' to us"


@pytest.mark.heavy
def test_a_hundred_thousand_calls_that_throw_keep_no_memory(ours: Built) -> None:
    assert ours.outcomes("comparison_rounds_cases.py", "100000")["grown"] < 4096


def _names(*words: str | Path) -> list[str]:
    done = subprocess.run(  # noqa: TID251 (reads symbols as the linker sees them)
        ["/usr/bin/env", "nm", *map(str, words)], check=True, capture_output=True, text=True
    )
    return [line.split()[-1] for line in done.stdout.splitlines() if line.strip()]
