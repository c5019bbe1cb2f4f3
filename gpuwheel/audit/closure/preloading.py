"""Whether Python code of a wheel loads libraries before others ask for them: what the loader alone would not find."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel.audit.inspection import Inspection

__all__ = ["loading_module"]

_LOADS = re.compile(
    rb"\b(?:(?:CDLL|PyDLL|LoadLibrary|dlopen)\b(?!\(None\))|(?<!torch\.ops\.)load_library\b|load_nvidia_dynamic_lib\b)"
)
_OF_TORCH = re.compile(rb"\btorch\.ops\.load_library\b|\bload_library\b")
_MOST = 64 << 20
"""Bytes of source text that are looked at."""


def loading_module(wheel: Inspection, *, own: bool) -> str | None:
    """The first module that loads libraries by itself, whichever they are: names may be made, or read from a file.

    Args:
        wheel: Whose modules are looked at.
        own: Whether a library of the wheel is in question: torch.ops.load_library loads no others.
    """
    left = _MOST
    for name, member in wheel.members.items():
        if name.endswith(".py") and left > 0:
            text = bytes(member.data)
            left -= len(text)
            if _LOADS.search(text) or (own and _OF_TORCH.search(text)):
                return name
    return None
