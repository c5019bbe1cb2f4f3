"""What compilers, linkers and CMake say, for a person: their own line, the first error, and what to do.

A build that succeeds needs none of it but `teed`: the rest is imported when it is asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gpuwheel.compile.messages.tee import teed

if TYPE_CHECKING:
    from gpuwheel.compile.messages.causes import Cause, read_causes
    from gpuwheel.compile.messages.ending import build_failure
    from gpuwheel.compile.messages.reading import Message, read_messages
    from gpuwheel.compile.messages.where import Place

__all__ = ["Cause", "Message", "Place", "build_failure", "read_causes", "read_messages", "teed"]

_HOMES = {
    "Cause": "causes",
    "Message": "reading",
    "Place": "where",
    "build_failure": "ending",
    "read_causes": "causes",
    "read_messages": "reading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
