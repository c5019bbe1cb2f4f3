"""What stands in for an extension module: the last part of `NAME.py`, beside `libNAME.so` and run by `NAME.so`."""

from __future__ import annotations

import ctypes
import json
import sys
import types
from pathlib import Path
from typing import Any

import torch

from gpuwheel.launcher.compat import HELPERS
from gpuwheel.launcher.compat_functions import Overload, exception_class, make_function
from gpuwheel.launcher.compat_values import unpack

__all__ = ("TARGET",)

_FLOOR = (2, 10)
TARGET: types.ModuleType = globals().get("TARGET") or sys.modules[__name__]
"""The module that is imported: `NAME.so` names it, and runs this file in another one."""


def _opened() -> tuple[ctypes.CDLL, dict[str, Any]]:
    """The library, and what it says of its module."""
    path = Path(str(TARGET.__file__)).with_name(f"lib{__name__.rpartition('.')[2]}.so")
    version = torch.__version__.partition("+")[0].split(".")
    if version[0].isdecimal() and version[1].isdecimal() and tuple(map(int, version[:2])) < _FLOOR:
        msg = f"{__name__} needs torch >= {'.'.join(map(str, _FLOOR))} (torch {torch.__version__} is installed)"
        raise ImportError(msg, name=__name__, path=str(path))
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        msg = f"{__name__}: {path.name} does not load beside torch {torch.__version__} ({error})"
        raise ImportError(msg, name=__name__, path=str(path)) from None
    torch.ops.loaded_libraries.add(str(path))
    if not hasattr(library, "gpuwheel_compat_open"):  # it has neither PYBIND11_MODULE nor TORCH_LIBRARY
        empty = ("functions", "attributes", "submodules", "exceptions")
        return library, {"namespace": "", **dict.fromkeys(empty, ())}
    for name in ("gpuwheel_compat_open", "gpuwheel_compat_failure", "gpuwheel_compat_failure_text"):
        getattr(library, name).restype = ctypes.c_char_p
    described: dict[str, Any] = json.loads(library.gpuwheel_compat_open(1))
    if described["error_type"]:
        msg = f"{__name__}: {described['error']}"
        raise exception_class(described["error_type"], {})(msg)
    return library, described


_IMPLEMENTED: dict[str, list[torch.library.Library]]
_IMPLEMENTED = vars(torch.ops.gpuwheel_compat).setdefault("implemented", {})
"""Keeps what operators do: by the library, which may be loaded first and imported later."""


def _implement_operators(library: ctypes.CDLL) -> None:
    """Have operators of TORCH_LIBRARY that take or give a dictionary call what C++ has for them."""
    if not hasattr(library, "gpuwheel_compat_operators"):
        return
    for name in ("gpuwheel_compat_operators", "gpuwheel_compat_failure", "gpuwheel_compat_failure_text"):
        getattr(library, name).restype = ctypes.c_char_p
    described = json.loads(library.gpuwheel_compat_operators())
    if described["namespace"] in _IMPLEMENTED:
        return
    kept = _IMPLEMENTED[described["namespace"]] = []
    for each in described["operators"]:
        space, _, name = each["name"].partition("::")
        function = Overload(each, described["namespace"], library, lambda kind: exception_class(kind, {}))
        kept.append(torch.library.Library(space, "IMPL"))
        kept[-1].impl(name, function.implementing(each["name"]), each["key"])


def _fill(module: types.ModuleType) -> None:
    """Put into the module what PYBIND11_MODULE did."""
    library, described = _opened()
    _implement_operators(library)
    made: dict[str, types.ModuleType] = {"": module}
    for path in described["submodules"]:
        above, _, name = path.rpartition(".")
        part = types.ModuleType(f"{__name__}.{path}")
        part.__file__ = module.__file__
        made[path] = sys.modules[part.__name__] = part
        setattr(made[above], name, part)
    exceptions: dict[str, type] = {}
    for name, base in described["exceptions"]:
        exceptions[name] = type(name, (exception_class(base, exceptions),), {"__module__": __name__})
        setattr(module, name, exceptions[name])
    for path, name, value in described["attributes"]:
        setattr(made[path], name, unpack(json.dumps(value), []))

    def class_of(name: str) -> type:
        return exception_class(name, exceptions)

    overloads: dict[tuple[str, str], list[Overload]] = {}
    for each in described["functions"]:
        overload = Overload(each, described["namespace"], library, class_of)
        overloads.setdefault((each["module"], each["name"]), []).append(overload)
    for (path, name), all_of_it in overloads.items():
        setattr(made[path], name, make_function(all_of_it, made[path].__name__))


_HELPERS = HELPERS
if TARGET.__dict__ is not globals() or TARGET.__spec__ is not None:
    _fill(TARGET)
else:  # only the operators are wanted, of the library that is loaded already
    _file = Path(_fill.__code__.co_filename)
    _implement_operators(ctypes.CDLL(str(_file.with_name(f"lib{_file.stem}.so"))))
