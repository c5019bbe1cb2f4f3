"""Sorting a library's imports by who provides them."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from gpuwheel.binary.mangled import demangle_foreign
from gpuwheel.binary.torch_names import is_torch_c, is_torch_cpp
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.binary.elf import Import
    from gpuwheel.compatibility import Shim

__all__ = ["TORCH", "TORCH_LIBRARIES", "Provider", "is_torchs", "provider", "shown"]

TORCH = "libtorch.so"
"""In CUDA and CPU builds of torch alike; it brings torch's other libraries."""
TORCH_LIBRARIES = frozenset(
    {TORCH, *(f"lib{name}.so" for name in ("torch_cpu", "torch_cuda", "torch_python", "c10", "c10_cuda"))}
)
"""What a library on torch's ABI may need; each brings what it is made of, but not the others."""

_SHOWN = 5
"""Symbols named in one message."""

# The C API's prefix, reserved by Python's documentation ("Include Files").
_PYTHON = re.compile(r"_?Py[A-Z_].*")
# Itanium C++ ABI 5.1.2: a nested name is N, qualifiers, then length-prefixed parts. Anywhere in the name.
_ABOUT_TORCH = re.compile(r"_Z.*?N[rVK]*[RO]?(?:2at|3c10|5torch|6caffe2)[0-9A-Za-z]")
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
    SIBLING = "another library of the wheel"
    NOBODY = "nobody that is known"


def provider(symbol: Import, shims: Mapping[str, Shim]) -> Provider:
    """Who provides a symbol, judged by its name and version."""
    # Before any look at the name: torch and Python give their symbols no versions, glibc and libstdc++ do.
    if symbol.version is not None:
        return Provider.SYSTEM
    if symbol.name in shims:
        return Provider.SHIM
    if is_torch_c(symbol.name):  # some that were in old torches are gone
        return Provider.SHIM if load_torch_symbols().having(symbol.name) else Provider.UNKNOWN_SHIM
    if is_torch_cpp(symbol.name):
        return Provider.TORCH_CPP
    for pattern, found in ((_PYTHON, Provider.PYTHON), (_CUDA, Provider.CUDA)):
        if pattern.match(symbol.name):
            return found
    return Provider.NOBODY


def is_torchs(name: str) -> bool:
    """Whether a symbol has a C++ name with a type of torch's in it, or one of the headers that stand in for torch's."""
    return _ABOUT_TORCH.match(name) is not None or _STAND_IN.match(name) is not None


def shown(symbols: Sequence[Import | str]) -> str:
    """Names for a message: sorted, demangled, the first few and how many more."""
    names = sorted({symbol if isinstance(symbol, str) else symbol.name for symbol in symbols})
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(demangle_foreign(names[:_SHOWN])) + more
