"""Modules in front of libraries with `abi = "compat"`: what lies beside each, and what may have an entry point."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.providers import Provider, provider
from gpuwheel.audit.rules.python.pythons import suffix_of, tagged
from gpuwheel.model.findings import Found, Part, Profile
from gpuwheel.model.libraries import DESCRIBE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.binary.elf import ElfFile

__all__ = ["MODULE_RULES", "is_door"]

_ENTRY_POINT = "PyInit_"
_WITH = 'libraries with `abi = "compat"`: docs/explanation/compat.md'


def is_door(library: ElfFile) -> bool:
    """Whether it is the file by which `import` finds a generated module: its entry point loads without Python."""
    entry = _ENTRY_POINT + PurePosixPath(library.name).name.removesuffix(".so")
    return list(library.exports) == [entry] and not any(
        provider(each, {}) is Provider.PYTHON for each in library.imports
    )


@rule(
    "compat-module",
    needs={Part.LIBRARIES, Part.MEMBERS},
    why="nothing would load the library, or import its module",
    fix="build with gpuwheel.backend, and keep NAME.so, NAME.py, NAME.pyi and libNAME.so of an extension in one folder",
    source=_WITH,
)
def _compat_module(case: WheelCase) -> Iterator[Found]:
    """A library with `abi = "compat"` lacks the module in front of it, or has a name that none looks for."""
    for library in case.wheel.libraries:
        if DESCRIBE not in library.exports:
            continue
        path = PurePosixPath(library.name)
        if not path.name.startswith("lib") or path.suffix != ".so":
            yield Found(library.name, "has a name that no module looks for (expected libNAME.so)")
            continue
        wanted = [str(path.with_name(f"{path.stem.removeprefix('lib')}{end}")) for end in (".py", ".pyi", ".so")]
        missing = [name for name in wanted if name not in case.wheel.members]
        if missing:
            yield Found(library.name, f"has no module in front of it (no {', '.join(missing)}, expected beside it)")


@rule(
    "module-entry-point",
    needs={Part.LIBRARIES, Part.MEMBERS, Part.NAME},
    why="the wheel says py3-none, and a module in Python's C API is for one Python, or for one and newer",
    fix='set python = "version" or "abi3" for the extension, or abi = "compat", which makes the module',
    source="Platform compatibility tags (PEP 425): the ABI tag; Python documentation, Extending: PyInit_NAME",
)
def _module_entry_point(case: WheelCase) -> Iterator[Found]:
    """A library of a wheel for every Python has the entry point of a Python module, and leads to no generated one."""
    wheel = case.wheel
    # cp311-none is for one Python, as cp311-cp311 is.
    if wheel.tag.abi != "none" or tagged(wheel.tag):
        return
    for library in wheel.libraries:
        entries = [name for name in library.exports if name.startswith(_ENTRY_POINT)]
        path = PurePosixPath(library.name)
        beside = {str(path.with_name(f"lib{path.name}")), str(path.with_suffix(".py"))}
        if entries and not (is_door(library) and beside <= wheel.members.keys()):
            # Only the Python that the suffix names imports it: a wheel of others may hold one for each.
            told = Profile.OWN if suffix_of(library.name) else None
            yield Found(
                library.name, f"is a Python module ({', '.join(entries)}, expected no entry point)", profile=told
            )


MODULE_RULES = (_compat_module, _module_entry_point)
"""About a whole wheel (`WheelCase`)."""
