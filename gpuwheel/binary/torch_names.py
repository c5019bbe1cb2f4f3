"""Which mangled names (Itanium C++ ABI, 5.1) are in a namespace of torch's, and which `std::string` they speak of.

Read from the front, so that a function of somebody else's that takes an `at::Tensor` is not taken for one of torch's.
"""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["StringAbi", "is_torch_c", "is_torch_cpp", "string_abi"]

# 5.1.4: virtual tables and type information (TV, TT, TI, TS), thunks (Th, Tv, Tc), guards and temporaries (GV, GR),
# thread-local ones (TW, TH); 5.1.2: a nested name is N, qualifiers, then parts with their lengths before them.
_SCOPED = re.compile(
    r"_Z(?:T[VTISWH]|G[VR]|Thn?\d+_|Tvn?\d+_n?\d+_)?"
    r"N[rVK]*[RO]?(?:2at|3c10|5torch|6caffe2)(?=[0-9A-Za-z])(?!6stable|10headeronly)"
)
_PYTHON_OBJECTS = re.compile(r"_Z\d+THP[A-Z]\w*")
"""Functions of libtorch_python's that are in no namespace: `THPVariable_Wrap`."""
_C = re.compile(r"(?:aoti_)?torch_")
# What is no substitution though it has its letters: lengths and their names, literals, bounds of arrays.
_TOKEN = re.compile(r"(\d{1,9})|L[a-z]n?\d+E|A\d+_|S[0-9A-Z]*_|T\d*_|S[a-z]|.", re.DOTALL)


class StringAbi(Enum):
    """Which of the two `std::string` of libstdc++ a name has in it (libstdc++ manual, "Dual ABI")."""

    OLD = "_GLIBCXX_USE_CXX11_ABI=0"
    NEW = "_GLIBCXX_USE_CXX11_ABI=1"


def is_torch_c(name: str) -> bool:
    """Whether a symbol has a name as those of torch's C API do, the stable one included."""
    return _C.match(name) is not None


def is_torch_cpp(name: str) -> bool:
    """Whether a symbol is of torch's C++ API: in its namespaces, but for the parts that are headers alone.

    `torch::stable` and `torch::headeronly` are inline: no library of torch has a symbol of theirs.
    """
    return _SCOPED.match(name) is not None or _PYTHON_OBJECTS.match(name) is not None


def string_abi(name: str) -> StringAbi | None:
    """The `std::string` or `std::list` that a mangled name mentions; `None`: none."""
    if "7__cxx11" in name or "B5cxx11" in name:
        return StringAbi.NEW
    # "Ss" alone is the old one: the new one is spelled out. It may be a part of an identifier, so those are skipped.
    at = 2 if name.startswith("_Z") else len(name)
    while at < len(name):
        match = _TOKEN.match(name, at)
        if match is None:
            return None
        if match[0] == "Ss":
            return StringAbi.OLD
        at = match.end() + int(match[1] or 0)
    return None
