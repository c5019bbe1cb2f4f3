"""Torch's C++ API is the same with gpuwheel's headers as with torch's own: one source, compiled against both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]

DIFFERENCES: dict[str, str] = {}
"""Call -> why it may differ: each is one of those in docs/explanation/compat.md."""


@pytest.fixture(scope="module")
def both(compat: Callable[..., Built], classic: Callable[..., Built]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each call answered: with torch's own headers, with ours."""
    theirs = classic("comparison", "comparison.cpp", optimise="-O0").outcomes("comparison_cases.py")
    return theirs, compat("comparison", "comparison.cpp").outcomes("comparison_cases.py")


def test_every_call_gives_the_same_values_exceptions_aliases_and_gradients(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    theirs, ours = both
    assert len({name.partition(": ")[2] for name in theirs}) > 400
    assert theirs.keys() == ours.keys()
    different = {name: (theirs[name], ours[name]) for name in theirs if theirs[name] != ours[name]}
    unexplained = {name: pair for name, pair in different.items() if name.partition(": ")[2] not in DIFFERENCES}
    assert not unexplained, "\n".join(f"{n}\n  torch: {a}\n  ours:  {b}" for n, (a, b) in unexplained.items())
