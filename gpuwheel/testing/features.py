"""Skips that can be forbidden: on a machine that must have a feature, its absence is a failure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["require"]


def require(feature: str, reason: str, *, environ: Mapping[str, str] | None = None) -> NoReturn:
    """Skip the running test because `feature` is missing, or fail it if `GPUWHEEL_REQUIRE` names the feature.

    `GPUWHEEL_REQUIRE` is a comma-separated list, e.g. `gpu,pythons`. Call this once the feature was looked for and
    not found: `if not torch.cuda.is_available(): require("gpu", "torch sees no GPU")`.
    """
    listed = (os.environ if environ is None else environ).get("GPUWHEEL_REQUIRE", "")
    if feature in {word.strip() for word in listed.split(",")}:
        # A skip is green: on the machine that was set up for it, nobody would see that it no longer runs.
        pytest.fail(f"{feature} is required by GPUWHEEL_REQUIRE={listed} but missing: {reason}", pytrace=False)
    pytest.skip(f"{feature} is missing: {reason}")
