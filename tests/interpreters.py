"""Python interpreters of this machine, by version."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.errors import ToolchainError
from gpuwheel.matrix import interpreters

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["find_interpreter"]


@cache
def find_interpreter(version: str) -> Path | None:
    """An interpreter of a version such as "3.12" or "3.14t"; None if this machine has none."""
    try:
        return interpreters.find_interpreter(version, os.environ).program
    except ToolchainError:
        return None
