"""Whether a compiler takes its time from SOURCE_DATE_EPOCH."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EPOCH", "follows_epoch"]

EPOCH = "SOURCE_DATE_EPOCH"


def follows_epoch(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether `__DATE__` is of SOURCE_DATE_EPOCH for the compiler that `command` starts: GCC 7, Clang 16 and newer."""
    # By trying: a version says nothing of patches, and of compilers by other makers.
    words = [*command, "-E", "-P", "-x", "c++", "-include", os.devnull, "-"]
    said = run(words, env={**environ, EPOCH: "0"}, stdin="__DATE__\n", check=False).stdout
    return '"Jan  1 1970"' in said
