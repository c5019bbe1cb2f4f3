"""What an extension asks of torch and of Python, from what its sources include."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.model.choices import PythonAbi, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Interface", "interface_of"]

_STABLE_TORCH = ("torch/csrc/stable/", "torch/headeronly/", "torch/csrc/inductor/aoti_torch/c/")
_TORCH = ("torch/", "ATen/", "c10/", "caffe2/")
_PYTHON = ("Python.h", "pybind11/", "nanobind/")
_FULL_PYTHON = ("pybind11/", "torch/extension.h", "torch/python.h", "torch/csrc/utils/pybind.h")
# Entry points of pybind11, nanobind and the C API; "PyInit_##" is one that a macro puts together.
_MODULE = re.compile(rb"\b(?:PYBIND11_MODULE|NB_MODULE|PyMODINIT_FUNC|PyInit_\w+)\b|\bPyInit_##")


@dataclass(frozen=True)
class Interface:
    """The keys `abi` and `python` of an extension."""

    torch: TorchAbi
    python: PythonAbi


def interface_of(sources: Iterable[Path], include_dirs: Sequence[Path], *, limited_api: bool) -> Interface:
    """What an extension asks of torch and Python: its sources and their own headers include it, under any condition.

    Args:
        sources: files that are compiled.
        include_dirs: the project's folders that `#include` searches.
        limited_api: whether setup.py asks for Python's limited API.
    """
    scanner = IncludeScanner(tuple(include_dirs))
    outside: set[str] = set()
    is_module = False
    for source in sources:
        outside.update(scanner.unresolved(source))
        is_module = is_module or any(_MODULE.search(file.path.read_bytes()) for file in scanner.closure(source))
    torch = _torch(outside)
    if not is_module and (torch is not TorchAbi.NONE or not _any(outside, _PYTHON)):
        return Interface(torch, PythonAbi.NONE)
    limited = limited_api and not _any(outside, _FULL_PYTHON)
    return Interface(torch, PythonAbi.ABI3 if limited else PythonAbi.VERSION)


def _torch(outside: Iterable[str]) -> TorchAbi:
    headers = {name for name in outside if name.startswith(_TORCH)}
    if any(not name.startswith(_STABLE_TORCH) for name in headers):
        return TorchAbi.EXACT
    return TorchAbi.STABLE if headers else TorchAbi.NONE


def _any(names: Iterable[str], beginnings: tuple[str, ...]) -> bool:
    return any(name.startswith(beginnings) for name in names)
