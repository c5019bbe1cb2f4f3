"""The C API of each Python: whether a module for one Python asks it for what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.neighbours import Neighbours
from gpuwheel.audit.platform import system_libraries
from gpuwheel.audit.providers import TORCH_LIBRARIES, Provider, provider, shown
from gpuwheel.audit.rules.python.pythons import suffix_of, tagged
from gpuwheel.compatibility.exports.python_abi import load_python_abi
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.audit.rules.python.pythons import Cpython
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.model.versions import MinorVersion

__all__ = ["API_RULES"]


def _modules(case: WheelCase) -> Iterator[tuple[ElfFile, frozenset[Cpython]]]:
    """Libraries for certain Pythons, and those Pythons: by the suffix, or else by the wheel's tag."""
    abis = case.wheel.tag.abi.split(".")
    of_tag = frozenset() if "abi3" in abis else tagged(case.wheel.tag)
    for library in case.wheel.libraries:
        suffix = suffix_of(library.name)
        if suffix is not None and suffix.python is not None:
            yield library, frozenset({suffix.python})
        elif suffix is None:
            yield library, of_tag


def _is_python(soname: str) -> bool:
    return soname.startswith("libpython")


@rule(
    "python-api",
    needs={Part.NAME, Part.LIBRARIES},
    why="importing the module ends with 'undefined symbol': Python looks all of them up when it loads a module",
    fix="build it with that Python, or tag and name it for the Python that it was built with",
    source="`exports` of `gpuwheel/data/python_abi.toml`: of CPython 3.8 to 3.13; others are not checked",
)
def _python_api(case: WheelCase) -> Iterator[Found]:
    """A module for one Python asks for symbols of the C API that this Python has not (a warning: private, new ones)."""
    table, neighbours = load_python_abi(), Neighbours(case.wheel.libraries)
    for library, pythons in _modules(case):
        asked = [
            one.name
            for one in library.imports
            if not one.weak and provider(one, {}) is Provider.PYTHON and not neighbours.show(library, one.name)
        ]
        for python in sorted(pythons, key=str) if asked else ():
            if python.threaded or python.version not in table.read:
                continue  # nobody has read what these have
            lacking = [name for name in asked if python.version not in table.exports.get(name, ())]
            missing = [
                name for name in lacking if name in table.exports or _is_nobodys(case, neighbours, library, name)
            ]
            if missing:
                yield _told(library, python.version, missing)


def _is_nobodys(case: WheelCase, neighbours: Neighbours, library: ElfFile, name: str) -> bool:
    """Whether nothing that may be loaded before a library has a symbol that no Python has."""
    scope = {it for it in neighbours.scopes(library) if not _is_python(it)}
    return scope <= system_libraries(case.tables, library.machine) | TORCH_LIBRARIES and not (
        scope & TORCH_LIBRARIES and load_torch_symbols().exports(name)
    )


def _told(library: ElfFile, python: MinorVersion, missing: Sequence[str]) -> Found:
    table = load_python_abi()
    gone = [name for name in missing if any(had < python for had in table.exports.get(name, ()))]
    new = [name for name in missing if name not in gone and name in table.exports]
    never = [name for name in missing if name not in table.exports]
    told = [f"{word}: {shown(names)}" for word, names in (("gone", gone), ("newer", new), ("of none", never)) if names]
    # A later patch release may bring a private function, as 3.11 did; a public one it may not (PEP 387, PEP 440).
    sure = gone or [name for name in (*new, *never) if not name.startswith("_")]
    return Found(
        library.name,
        f"asks for symbols that Python {python} has not ({'; '.join(told)}, expected those of {table.read[python]})",
        None if sure else f"on Python {table.read[python]}, importing it ends with 'undefined symbol'",
        severity=None if sure else Severity.WARNING,
        facts={"python": str(python), "gone": sorted(gone), "newer": sorted(new), "unknown": sorted(never)},
    )


API_RULES = (_python_api,)
"""About a whole wheel (`WheelCase`)."""
