"""Torch's C++ symbols, whose ABI is that of one minor: open ranges, what that minor lacks, and the string ABI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.providers import Provider, is_torchs, shown
from gpuwheel.audit.rules.torch.c_symbols import minors
from gpuwheel.binary.torch_names import StringAbi, string_abi
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Others, Part, Profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.audit.cases import LibraryCase
    from gpuwheel.binary.elf import Import
    from gpuwheel.model.versions import MinorVersion

__all__ = ["CPP_SYMBOL_RULES", "common_minors"]

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
_STABLE_ABI = "PyTorch documentation, LibTorch Stable ABI"
_TABLE = "`gpuwheel/data/torch_symbols.bin`: what the libraries of each torch since 2.2 export"
_FACTS = 50
"""Symbols that a finding lists for machines."""
_OTHER_BUILDS = re.compile(r"_Z\w*?N[rVK]*(?:2at|3c10|5torch)(?:3hip|3xpu|3mps|3hpu|3mtia|10privateuse)", re.ASCII)
"""Names of torch's builds for other devices than NVIDIA's, which the table does not have."""


def common_minors(symbols: Sequence[Import]) -> list[MinorVersion]:
    """The known torches that have every one of some symbols."""
    table = load_torch_symbols()
    found = table.minors
    for symbol in symbols:
        if not symbol.weak and not _OTHER_BUILDS.match(symbol.name):
            found &= table.having(symbol.name)
    return sorted(found)


def _wrong_strings(case: LibraryCase) -> tuple[list[Import], MinorVersion | None, StringAbi | None]:
    """Symbols that speak of another `std::string` than the one torch of the wheel, and what that one's is."""
    admitted = case.claims.admits(load_torch_symbols().minors)
    if case.claims.torch is not TorchAbi.EXACT or len(admitted) != 1:
        return [], None, None
    row = case.tables.torch.get(admitted[0])
    # Those that are older than the table of releases were all built with the old ABI.
    torchs = StringAbi.NEW if row is not None and row.cxx11_abi else StringAbi.OLD
    imported = (symbol for symbol in case.imports.get(Provider.TORCH_CPP, ()) if not symbol.weak)
    return [symbol for symbol in imported if string_abi(symbol.name) not in {None, torchs}], admitted[0], torchs


@rule(
    "torch-unstable-abi",
    needs=_NEEDS,
    why="at::, c10:: and torch:: C++ symbols, and the classes behind them, change from one torch to the next",
    fix="include torch/csrc/stable/*.h and torch/headeronly/*.h only, never ATen, c10 or torch/extension.h",
    source=f"{_STABLE_ABI}; {_TABLE}",
)
def _torch_unstable_abi(case: LibraryCase) -> Iterator[Found]:
    """A library of a wheel for several torches imports C++ symbols of torch."""
    unstable = case.imports.get(Provider.TORCH_CPP, ())
    # A wheel that does not name torch at all is another rule's.
    if not unstable or case.claims.torch is TorchAbi.EXACT or case.claims.torch_minors == ():
        return
    table, fitting = load_torch_symbols(), common_minors(unstable)
    admitted = case.claims.admits(table.minors)
    lacking = [minor for minor in admitted if minor not in fitting]
    why = None
    if lacking and fitting:
        one = next(one for one in unstable if not one.weak and lacking[-1] not in table.having(one.name))
        why = (
            f"torch {minors(lacking)} lacks some of them ({shown([one])} is not in {lacking[-1]}): it cannot load there"
        )
    only = f"torch=={fitting[-1]}.*" if fitting else "torch==X.Y.*"
    yield Found(
        case.library.name,
        f"imports C++ symbols of torch ({shown(unstable)}, expected the stable C ABI alone, or one minor of torch)",
        why,
        others=Others(
            fix=f"require the one minor that it was built with ({only}), or build it with torch's stable ABI"
        ),
        facts={
            "symbols": sorted(symbol.name for symbol in unstable)[:_FACTS],
            "lacking": list(map(str, lacking)),
            "fitting": list(map(str, fitting)),
        },
    )


@rule(
    "torch-symbol-missing",
    needs=_NEEDS,
    why="the library would fail to load with 'undefined symbol'",
    fix="build it with the torch that Requires-Dist names",
    source=_TABLE,
)
def _torch_symbol_missing(case: LibraryCase) -> Iterator[Found]:
    """A library imports C++ symbols that the one torch of its wheel lacks."""
    table = load_torch_symbols()
    admitted = case.claims.admits(table.minors)
    if case.claims.torch is not TorchAbi.EXACT or len(admitted) != 1:
        return
    wrong = set(_wrong_strings(case)[0])
    imported = [one for one in case.imports.get(Provider.TORCH_CPP, ()) if not one.weak and one not in wrong]
    known = [one for one in imported if not _OTHER_BUILDS.match(one.name)]
    missing = [one for one in known if admitted[0] not in table.having(one.name)]
    if missing:
        fitting = common_minors(imported)
        having = f"torch {minors(fitting)} has all that it imports" if fitting else "no one torch has all of them"
        yield Found(
            case.library.name,
            f"imports C++ symbols that torch {admitted[0]} lacks ({shown(missing)}; {having})",
            fix=f"build it with torch {admitted[0]}" + (f", or require torch=={fitting[-1]}.*" if fitting else ""),
            facts={
                "symbols": sorted(symbol.name for symbol in missing)[:_FACTS],
                "torch": str(admitted[0]),
                "fitting": list(map(str, fitting)),
            },
        )


@rule(
    "torch-string-abi",
    needs=_NEEDS,
    why="the two string ABIs have different symbols: the library would fail to load with 'undefined symbol'",
    fix="compile with the _GLIBCXX_USE_CXX11_ABI of that torch (torch.compiled_with_cxx11_abi())",
    source="libstdc++ manual, Dual ABI; `gpuwheel/data/torch.toml`, `cxx11-abi`: on PyPI the new one since torch 2.7",
)
def _torch_string_abi(case: LibraryCase) -> Iterator[Found]:
    """A library calls torch with the other `std::string` than the one torch of its wheel."""
    symbols, torch, expected = _wrong_strings(case)
    if symbols and expected is not None:
        found = next(abi for abi in StringAbi if abi is not expected)
        problem = f"calls torch with {found.value} ({shown(symbols)}, expected {expected.value}: that of torch {torch})"
        yield Found(
            case.library.name,
            problem,
            facts={"symbols": sorted(symbol.name for symbol in symbols)[:_FACTS], "torch": str(torch)},
        )


@rule(
    "torch-symbol-exported",
    needs=_NEEDS,
    why="the dynamic linker looks symbols up by name: torch and this library may call each other's functions",
    fix="build with -fvisibility=hidden, and define nothing in the namespaces at, c10 and torch that is seen outside",
    source="System V ABI, Shared Object Dependencies; PyTorch documentation, LibTorch Stable ABI",
    profile=Profile.OWN,
)
def _torch_symbol_exported(case: LibraryCase) -> Iterator[Found]:
    """A library of a wheel for several torches shows symbols with C++ names of torch's, or of what stands in for it."""
    names = [name for name in case.library.exports if is_torchs(name)]
    if names and case.claims.torch is not TorchAbi.EXACT:
        yield Found(case.library.name, f"exports C++ symbols named as torch's ({shown(names)}, expected none)")


CPP_SYMBOL_RULES = (_torch_unstable_abi, _torch_symbol_missing, _torch_string_abi, _torch_symbol_exported)
"""About one library (`LibraryCase`)."""
