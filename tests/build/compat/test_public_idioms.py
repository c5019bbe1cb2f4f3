"""Idioms of extensions in the wild do what they do with torch's own headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch]


def test_checks_tensors_by_value_and_flattened_tensors(compat: Callable[..., Built]) -> None:
    found = compat("public_idioms", "public_idioms.cpp").outcomes("public_idioms_cases.py")
    said = {name: text for name, text in found.items() if isinstance(text, str)}
    assert said == {
        "wrong dim": "Expected x.dim() == 2 to be true, but got false.  (Could this error message be improved?  If so, "
        "please report an enhancement request to PyTorch.)",
        "wrong size": "x must have size (n, 2)",
        "not contiguous": "not contiguous",
        "one": "n is one",
        "not equal": "Check failed: a == b (1 vs. 2). so 1\n",
    }
    assert {name: value for name, value in found.items() if not isinstance(value, str)} == {
        "right": 4,
        "assert": True,
        "flat": True,
        "unflat": True,
        "empty has its own storage": True,
        "gather": True,
        "collapsed": [1, 2, 2, 1],
        "narrow": [True, False, True, False],
        "overlaps": [False, True, True],
        "blocks": [1, 1, 2],
        "complex": True,
        "logged": [
            *("[Wa warning 2", "[Ean error", "[Ian info 1", "[Wa warning 2"),
            "[FCheck failed: a == b (1 vs. 2). so 1",
        ],
        "requires grad": [False, False, True, True],
        "const optionals": [[[1, 1], [2, 2], [6, 6], "torch.float16", None]] * 2,
    }
