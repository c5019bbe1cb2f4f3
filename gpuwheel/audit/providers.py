"""Sorting a library's imports by who provides them."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from gpuwheel.binary.mangled import demangle_foreign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.binary.elf import Import
    from gpuwheel.compatibility import Shim

__all__ = ["Provider", "is_torchs", "provider", "shown"]

_SHOWN = 5
"""Symbols named in one message."""

# The C API's prefix, reserved by Python's documentation ("Include Files").
_PYTHON = re.compile(r"_?Py[A-Z_].*")
_TORCH_C = re.compile(r"(?:aoti_)?torch_.*")
# Itanium C++ ABI 5.1.2: a nested name is N, qualifiers, then length-prefixed parts.
_TORCH_CPP = re.compile(r"_Z.*?N[rVK]*[RO]?(?:2at|3c10|5torch|6caffe2)[0-9A-Za-z]")
_STAND_IN = re.compile(r"_Z.*?N[rVK]*[RO]?15gpuwheel_compat[0-9A-Za-z]")
# Driver (cuLaunchKernel), runtime (cudaMalloc), and what nvcc generates (__cudaRegisterFunction).
_CUDA = re.compile(r"cu(?:da)?[A-Z]\w*|__cuda\w+")


class Provider(Enum):
    """Where an undefined symbol comes from."""

    SHIM = "torch's stable C ABI"
    UNKNOWN_SHIM = "a name of torch's stable C ABI that no known torch has"
    TORCH_CPP = "torch's unstable C++ ABI"
    PYTHON = "the Python interpreter"
    CUDA = "the CUDA driver or runtime"
    SYSTEM = "a versioned system library"
    NOBODY = "nobody that is known"


def provider(symbol: Import, shims: Mapping[str, Shim]) -> Provider:
    """Who provides a symbol, judged by its name and version."""
    # Before any look at the name: torch and Python give their symbols no versions, glibc and libstdc++ do.
    if symbol.version is not None:
        return Provider.SYSTEM
    if symbol.name in shims:
        return Provider.SHIM
    for pattern, found in (
        (_TORCH_C, Provider.UNKNOWN_SHIM),
        (_TORCH_CPP, Provider.TORCH_CPP),
        (_PYTHON, Provider.PYTHON),
        (_CUDA, Provider.CUDA),
    ):
        if pattern.match(symbol.name):
            return found
    return Provider.NOBODY


def is_torchs(name: str) -> bool:
    """Whether a symbol has a C++ name in a namespace of torch's, or of the headers that stand in for torch's."""
    return _TORCH_CPP.match(name) is not None or _STAND_IN.match(name) is not None


def shown(symbols: Sequence[Import | str]) -> str:
    """Names for a message: sorted, demangled, the first few and how many more."""
    names = sorted({symbol if isinstance(symbol, str) else symbol.name for symbol in symbols})
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(demangle_foreign(names[:_SHOWN])) + more
