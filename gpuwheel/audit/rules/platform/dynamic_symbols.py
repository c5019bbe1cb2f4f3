"""Symbols that nothing provides, and those that a library shows to everybody."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.platform import MUSL, system_libraries
from gpuwheel.audit.providers import TORCH_LIBRARIES, Provider, is_torchs, shown
from gpuwheel.compatibility.exports.copied_libraries import load_copied_libraries
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols
from gpuwheel.compatibility.glibc import glibc_libraries
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Others, Part, Profile, Severity
from gpuwheel.model.libraries import OWN_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase
    from gpuwheel.binary.elf import ElfFile, Import
    from gpuwheel.model.promises import Claims

__all__ = ["SYMBOL_RULES"]

_WITH_VERSIONS = (
    "libc.",
    "libm.",
    "libdl.",
    "libpthread.",
    "librt.",
    "libgcc_s.",
    "libstdc++.",
    "libutil.",
    "libmvec.",
    "libresolv.",
    "libanl.",
    "libatomic.",
    "ld-linux",
)
"""System libraries all of whose symbols have versions, so that one without is none of theirs; libz.so.1 is no such."""
_OF_CXX = re.compile(
    r"_Z(?:T[ISV]|GV)?N?K?(?:S[tabdios]|9__gnu_cxx|10__cxxabiv1)|_Z(?:nw|na|dl|da)"
    r"|__cxa_|__gxx_|__dynamic_cast|_Unwind_|__gcc_personality"
)
"""What libstdc++ and its libgcc_s have: linked against a stand-in, a library asks for it without versions."""
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
_OLDEST_GLIBC = (2, 17)
"""Of the oldest platform that wheels are made for now (manylinux2014)."""
_NEWEST_GLIBC = (2, 999)
"""Every one that the table has."""
_OPENMP = ("GOMP_", "omp_")
"""What GCC calls for OpenMP (libgomp manual, "The libgomp ABI")."""
_ENTRY_POINT = "PyInit_"
_FACTS = 50


@rule(
    "unresolved-symbol",
    needs={Part.LIBRARIES},
    why="the library would fail to load with 'undefined symbol'",
    fix="add the source that defines them to `sources`; if they are of a newer glibc, name a newer `platform`",
    source="System V ABI, Dynamic Linking; `gpuwheel/data/glibc.toml`: what every glibc has, each with a version",
    others=Others(fix="link what defines them: a source or library that was left out (-Wl,--no-undefined)"),
)
def _unresolved_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library imports symbols that nothing it asks for provides."""
    library = case.library
    symbols = [symbol for symbol in case.imports.get(Provider.NOBODY, ()) if not symbol.weak]
    scope = case.neighbours.scopes(library) if symbols else frozenset[str]()
    system = system_libraries(case.tables, library.machine)
    known = {name for name in system - MUSL if name.startswith(_WITH_VERSIONS)} | TORCH_LIBRARIES
    # A further library, which other rules ask about, may provide them.
    own = case.profile is Profile.OWN
    # A build links against the glibc of its platform: what that has would have a version. Others may have linked
    # against anything, and their platform's glibc may be newer than what the library asks for.
    glibc = _glibc_needed(library) if own else _NEWEST_GLIBC
    unresolved = [one for one in symbols if known >= scope and not _provided(one, scope, library.machine, glibc)]
    if unresolved:
        yield Found(
            library.name,
            f"imports symbols that nothing provides ({shown(unresolved)}, expected none)",
            facts={"symbols": sorted({one.name for one in unresolved})[:_FACTS]},
        )


def _provided(symbol: Import, scope: frozenset[str], machine: str, glibc: tuple[int, int]) -> bool:
    """Whether a library of the scope has a symbol that is asked for without a version."""
    # A program's own libc and libdl are in every scope; a reference without a version takes the default one.
    if symbol.name in _names_of_glibc(machine, glibc):
        return True
    if _OF_CXX.match(symbol.name) and "libstdc++.so.6" in scope:
        return True
    if scope.isdisjoint(TORCH_LIBRARIES):
        return False
    return symbol.name.startswith(_OPENMP) or load_torch_symbols().exports(symbol.name)


def _glibc_needed(library: ElfFile) -> tuple[int, int]:
    """The glibc without which the loader refuses the library: what older ones lack is missing somewhere."""
    asked = (_GLIBC.fullmatch(version) for versions in library.version_needs.values() for version in versions)
    return max([_OLDEST_GLIBC, *((int(match[1]), int(match[2])) for match in asked if match)])


@cache
def _names_of_glibc(machine: str, newest: tuple[int, int]) -> frozenset[str]:
    """Every symbol of that glibc."""
    try:
        # Before 2.34 there were more libraries, since then libc has what was in them: the two hold all there is.
        tables = [glibc_libraries(machine, one) for one in {min(newest, (2, 33)), newest}]
    except KeyError:  # a machine that the table does not have
        return frozenset()
    return frozenset(symbol.name for table in tables for library in table.values() for symbol in library)


@rule(
    "missing-version",
    needs={Part.LIBRARIES},
    why="the loader refuses both ('version not found'), whether or not a symbol of that version is ever called",
    fix="build both from the same sources, or put the library that was linked to into the wheel",
    source="Linux Standard Base, Symbol Versioning: versions that a library needs are looked up when it is loaded",
)
def _missing_version(case: LibraryCase) -> Iterator[Found]:
    """A library needs a version of another library of the wheel that the other does not define."""
    for needed, versions in case.library.version_needs.items():
        # Of a library without any versions the loader only warns.
        found = case.neighbours.named(case.library, needed)
        if not found or not all(one.versions for one in found):
            continue
        missing = [version for version in versions if not any(version in one.versions for one in found)]
        if missing:
            problem = f"needs {' and '.join(missing)} of {needed}, which the wheel's own lacks (in {found[0].name})"
            yield Found(case.library.name, problem, facts={"library": needed, "versions": missing})


@rule(
    "exported-copy",
    needs={Part.LIBRARIES},
    why="calls between its parts are looked up by name: they end in another copy, of another version, that came first",
    fix="link it with -Wl,--exclude-libs,ALL, or with a version script that makes those symbols local",
    source="System V ABI, Shared Object Dependencies (global scope first); `gpuwheel/data/copied_libraries.toml`",
    severity=Severity.WARNING,
)
def _exported_copy(case: LibraryCase) -> Iterator[Found]:
    """A library shows the functions of another project's library that was linked into it."""
    library = case.library
    names = {library.name.rpartition("/")[2], library.soname or ""}
    exports = frozenset(library.exports)
    found = {
        copied.name: sorted(exports & copied.functions)
        for copied in load_copied_libraries()
        if len(exports & copied.functions) >= copied.enough and not any(map(copied.file.match, names))
    }
    if found:
        symbols = [name for functions in found.values() for name in functions]
        problem = (
            f"exports functions of {' and '.join(found)} that were linked into it ({shown(symbols)}, expected none)"
        )
        yield Found(library.name, problem, facts={"libraries": found})


@rule(
    "exported-symbol",
    needs={Part.LIBRARIES, Part.METADATA, Part.NAME},
    why="two packages that export one name in one process may call each other's function",
    fix="build with -fvisibility=hidden and link with a version script that makes all symbols local",
    source="System V ABI, Shared Object Dependencies: symbols are looked up by name alone; ld manual, VERSION command",
    severity=Severity.WARNING,
    profile=Profile.OWN,
)
def _exported_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library shows symbols to others that only itself uses."""
    claims = case.claims
    # The entry point is what Python looks up by name; where that is wrong, another rule says so.
    by_name = (_ENTRY_POINT, OWN_FUNCTIONS)
    exports = [name for name in case.library.exports if not name.startswith(by_name) and not _is_told(name, claims)]
    # Without torch, or where another library of the wheel needs this one, what it exports is all it is for.
    shared = {case.library.soname, case.library.name.rpartition("/")[2]} & claims.provided
    if exports and not shared and claims.torch is not TorchAbi.NONE:
        yield Found(case.library.name, f"exports symbols ({shown(exports)}, expected none)")


def _is_told(name: str, claims: Claims) -> bool:
    """Whether a rule of its own is about the symbol."""
    return is_torchs(name) and claims.torch is not TorchAbi.EXACT


SYMBOL_RULES = (_unresolved_symbol, _missing_version, _exported_copy, _exported_symbol)
"""About one library (`LibraryCase`)."""
