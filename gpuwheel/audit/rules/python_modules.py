"""Modules in front of libraries with `abi = "compat"`: what lies beside each, and what may have an entry point."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.providers import Provider, is_torchs, provider, shown
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Part
from gpuwheel.model.libraries import DESCRIBE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase, WheelCase
    from gpuwheel.binary.elf import ElfFile

__all__ = ["EXPORT_RULES", "MODULE_RULES", "is_door"]

_ENTRY_POINT = "PyInit_"
_WITH = 'libraries with `abi = "compat"`: docs/explanation/compat.md'


def is_door(library: ElfFile) -> bool:
    """Whether it is the file by which `import` finds a generated module: its entry point loads without Python."""
    entry = _ENTRY_POINT + PurePosixPath(library.name).name.removesuffix(".so")
    return list(library.exports) == [entry] and not any(
        provider(each, {}) is Provider.PYTHON for each in library.imports
    )


@rule(
    "torch-symbol-exported",
    needs={Part.LIBRARIES, Part.METADATA, Part.NAME},
    why="the dynamic linker looks symbols up by name: torch and this library would call each other's functions",
    fix="build with -fvisibility=hidden, and define nothing in the namespaces at, c10 and torch that is seen outside",
    source="System V ABI, Shared Object Dependencies; PyTorch documentation, LibTorch Stable ABI",
)
def _torch_symbol_exported(case: LibraryCase) -> Iterator[Found]:
    """A library of a wheel for several torches shows symbols with C++ names of torch's, or of what stands in for it."""
    names = [name for name in case.library.exports if is_torchs(name)]
    if names and case.claims.torch is not TorchAbi.EXACT:
        yield Found(case.library.name, f"exports C++ symbols named as torch's ({shown(names)}, expected none)")


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
    if wheel.tag.abi != "none":
        return
    for library in wheel.libraries:
        entries = [name for name in library.exports if name.startswith(_ENTRY_POINT)]
        path = PurePosixPath(library.name)
        beside = {str(path.with_name(f"lib{path.name}")), str(path.with_suffix(".py"))}
        if entries and not (is_door(library) and beside <= wheel.members.keys()):
            yield Found(library.name, f"is a Python module ({', '.join(entries)}, expected no entry point)")


EXPORT_RULES = (_torch_symbol_exported,)
"""About one library (`LibraryCase`)."""
MODULE_RULES = (_compat_module, _module_entry_point)
"""About a whole wheel (`WheelCase`)."""
