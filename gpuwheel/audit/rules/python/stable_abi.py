"""The stable ABI: whether modules that claim it keep to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.providers import Provider, provider, shown
from gpuwheel.audit.rules.python.pythons import entry_names, oldest_installed, suffix_of
from gpuwheel.compatibility.exports.python_abi import load_python_abi
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.model.versions import MinorVersion

__all__ = ["STABLE_ABI_RULES"]

_SOURCE = "Python documentation, C API Stability; `gpuwheel/data/python_abi.toml`"


def _claims(case: WheelCase) -> Iterator[tuple[ElfFile, MinorVersion, list[str]]]:
    """Libraries that claim the stable ABI, the oldest Python that they claim, and what they ask of Python."""
    wheel = case.wheel
    oldest = oldest_installed(case)
    if oldest is None or wheel.tag.abi == "none":
        return
    own = {name for library in wheel.libraries for name in library.exports}
    whole = "abi3" in wheel.tag.abi.split(".")
    for library in wheel.libraries:
        suffix = suffix_of(library.name)
        by_name = suffix is not None and suffix.abi3
        # Of a library without a suffix the wheel's tag tells; a suffix of one Python is a finding of its own.
        if by_name or (whole and suffix is None):
            asked = [one for one in library.imports if not one.weak and one.name not in own]
            names = [one.name for one in asked if provider(one, {}) is Provider.PYTHON]
            if names or entry_names(library):
                yield library, oldest, names


@rule(
    "limited-api",
    needs={Part.NAME, Part.METADATA, Part.LIBRARIES},
    why="later Pythons may drop or change what is not in the stable ABI: the module then fails to load, or crashes",
    fix="define Py_LIMITED_API for every source of the module, or build and tag it for one Python (cp311-cp311)",
    source=_SOURCE,
)
def _outside(case: WheelCase) -> Iterator[Found]:
    """A module for any later Python asks for symbols that are not in the stable ABI."""
    stable = load_python_abi().stable
    for library, _, names in _claims(case):
        if outside := [name for name in names if name not in stable]:
            problem = f"asks for symbols outside of Python's stable ABI ({shown(outside)}, expected none)"
            yield Found(library.name, problem, facts={"symbols": sorted(outside)})


@rule(
    "limited-api-version",
    needs={Part.NAME, Part.METADATA, Part.LIBRARIES},
    why="the oldest Pythons that the wheel is for do not have them: the import ends with undefined symbol",
    fix="define Py_LIMITED_API as the oldest Python of the tag, or raise tag and requires-python to one with them",
    source=_SOURCE,
)
def _newer(case: WheelCase) -> Iterator[Found]:
    """A module of the stable ABI asks for symbols that are newer than the oldest Python that the wheel is for."""
    table = load_python_abi()
    for library, oldest, names in _claims(case):
        newer = [name for name in names if name in table.stable and table.stable[name] > oldest]
        missing = [name for name in newer if (table.first_exported(name) or oldest) > oldest]
        if missing:
            since = max(table.first_exported(name) or oldest for name in missing)
            problem = f"asks for symbols that Python has since {since} ({shown(missing)}, wheel from {oldest} on)"
            yield Found(library.name, problem, facts={"symbols": sorted(missing), "since": str(since)})
        if early := [name for name in newer if name not in missing]:
            since = max(table.stable[name] for name in early)
            why = "Pythons before that have them, and promise nothing: their structures may be laid out otherwise"
            problem = f"asks for symbols that are stable since Python {since} ({shown(early)}, wheel from {oldest} on)"
            yield Found(library.name, problem, why, severity=Severity.WARNING, facts={"symbols": sorted(early)})


STABLE_ABI_RULES = (_outside, _newer)
"""About a whole wheel (`WheelCase`)."""
