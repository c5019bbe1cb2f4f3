"""For which CUDA a wheel says that it is, in words: its name, its version, what it requires."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from gpuwheel.audit.inspection import Inspection

__all__ = ["claimed_majors"]

_NAMED = re.compile(r"(?:^|[-_.])cu(?:da)?(1[0-9])(?:\d|x)?(?=[-_.]|$)")
"""cu12, cu128, cuda12x, cuda120; what is before and behind it is another part of the name."""
_LOCAL = re.compile(r"\+[^-]*?cu(1[0-9])\d?(?!\d)")
"""Of a version: 2.1+cu126, 2.1+pt28cu128."""


def claimed_majors(wheel: Inspection) -> frozenset[int]:
    """The CUDA majors that its file's name, and the names of NVIDIA's parts that it requires, state; mostly one."""
    project = wheel.name.partition("-")[0].lower()
    found = [*_NAMED.findall(project), *_LOCAL.findall(wheel.name.lower())]
    for requirement in wheel.requirements:
        name = canonicalize_name(requirement.name)
        if name.startswith("nvidia-"):
            found += _NAMED.findall(name)
    return frozenset(map(int, found))
