"""Kernel parameters in Python: from a C++ type to an annotation and to what cuda.core is passed for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuwheel.errors import CompileError

__all__ = ["PythonType", "canonical", "number_type", "python_type"]

_QUALIFIERS = re.compile(r"\b(?:const|volatile|__restrict__|__restrict|restrict|struct|enum)\b|\bstd::|(?<!\w)::(?=\w)")
_SPELLINGS = {
    "long": "int64", "long int": "int64", "long long": "int64", "long long int": "int64", "ptrdiff_t": "int64",
    "int64_t": "int64", "ssize_t": "int64",
    "unsigned long": "uint64", "unsigned long int": "uint64", "unsigned long long": "uint64",
    "unsigned long long int": "uint64", "size_t": "uint64", "uint64_t": "uint64",
    "int": "int32", "int32_t": "int32", "signed": "int32", "signed int": "int32",
    "unsigned": "uint32", "unsigned int": "uint32", "uint32_t": "uint32",
    "short": "int16", "short int": "int16", "int16_t": "int16",
    "unsigned short": "uint16", "unsigned short int": "uint16", "uint16_t": "uint16",
    "signed char": "int8", "int8_t": "int8", "char": "int8",
    "unsigned char": "uint8", "uint8_t": "uint8",
    "bool": "bool", "float": "float32", "double": "float64",
    "__half": "float16", "half": "float16",
    "__nv_bfloat16": "bfloat16", "nv_bfloat16": "bfloat16",
    "__nv_fp8_e4m3": "float8_e4m3fn", "__nv_fp8_e5m2": "float8_e5m2",
}  # fmt: skip
"""C++ type -> dtype of torch, on Linux and Windows of 64 bits; `long` is read from symbols, where it is 8 bytes."""

_SIZES = {
    "int8": 1, "uint8": 1, "bool": 1, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float32": 4,
    "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip
_FLOATING = {"float16", "bfloat16", "float32", "float64"}
_BY_SIZE = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


@dataclass(frozen=True)
class PythonType:
    """One parameter as a Python function takes it."""

    annotation: str
    """"Tensor | None", "int", "float", "bool"."""
    convert: str
    """Name of the function of the run time that makes the argument; empty for a pointer."""
    dtype: str
    """Of a tensor, for example "float32"; empty where any will do, and for what is no pointer."""
    is_pointer: bool
    note: str = ""
    """What the documentation has to say beyond the C++ type."""


def canonical(text: str) -> str:
    """A C++ type without qualifiers, in one spelling: "const float* __restrict__" -> "float*"."""
    bare = " ".join(_QUALIFIERS.sub(" ", text).split())
    return re.sub(r"\s*([*&])\s*", r"\1", bare)


def python_type(cpp: str, size: int, kernel: str) -> PythonType:
    """How Python passes a parameter.

    Args:
        cpp: its type, as a symbol or a source spells it.
        size: its size in the image, in bytes.
        kernel: for an error.

    Raises:
        CompileError: cuda.core cannot pass it.
    """
    bare = canonical(cpp)
    if bare.endswith("*"):
        dtype = _SPELLINGS.get(bare[:-1], "")
        if dtype:
            return PythonType("Tensor | None", "", dtype, is_pointer=True)
        return PythonType("Tensor | int | None", "", "", is_pointer=True, note="of any dtype, or an address")
    dtype = _SPELLINGS.get(bare, "")
    if dtype and _SIZES[dtype] != size:
        # `long` of a symbol made elsewhere, or an alias that hides another type: the image decides.
        dtype = ""
    number = number_type(dtype)
    if number is not None:
        return number
    # Unknown by name, yet passed in a register like a number: an enumeration, or an alias.
    if size in _BY_SIZE:
        note = f"its {size} bytes as an integer"
        return PythonType("int", f"_r.{_BY_SIZE[size]}", "", is_pointer=False, note=note)
    msg = f"kernel {kernel} takes a {cpp} by value ({size} bytes, expected numbers and pointers)"
    raise CompileError(msg, hint="pass its members one by one, or a pointer to it; or use mode embed")


def number_type(dtype: str) -> PythonType | None:
    """How Python passes a number of a dtype of torch; `None` for one that the run time cannot make."""
    if dtype == "bool":
        return PythonType("bool", "bool", "", is_pointer=False)
    if dtype in _FLOATING:
        return PythonType("float", f"_r.{dtype}", "", is_pointer=False)
    if dtype.startswith(("int", "uint")):
        return PythonType("int", f"_r.{dtype}", "", is_pointer=False)
    return None
