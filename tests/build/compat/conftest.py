"""What tests of `abi = "compat"` share."""

from __future__ import annotations

from cmake_looks import cmake_may_look_for_debians_toolkit
from compat_modules import classic, compat, compat_cache

__all__ = ["classic", "cmake_may_look_for_debians_toolkit", "compat", "compat_cache"]
