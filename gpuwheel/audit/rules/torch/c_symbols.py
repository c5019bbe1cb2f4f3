"""Torch's C symbols (shims): those that are missing in a torch of the range, and how a library gets at them."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.providers import TORCH, TORCH_LIBRARIES, Provider, shown
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Others, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.audit.cases import LibraryCase
    from gpuwheel.binary.elf import Import
    from gpuwheel.model.versions import MinorVersion

__all__ = ["C_SYMBOL_RULES", "minors"]

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
_STABLE_ABI = "PyTorch documentation, LibTorch Stable ABI"
_TABLE = "`gpuwheel/data/torch_symbols.bin`: what the libraries of each torch since 2.2 export"


def minors(versions: Sequence[MinorVersion]) -> str:
    """For a message: "2.9", "2.9 and 2.10", "2.9 to 2.13"."""
    if len(versions) <= 2:  # noqa: PLR2004 (a pair)
        return " and ".join(map(str, versions))
    # A gap is rare, and then all are named.
    whole = all(after.minor == before.minor + 1 for before, after in pairwise(versions))
    return f"{versions[0]} to {versions[-1]}" if whole else ", ".join(map(str, versions))


@rule(
    "torch-floor",
    needs=_NEEDS,
    why="in those torches of its range the library would fail to load with 'undefined symbol'",
    fix="do without the symbol, or admit only torches that have it (Requires-Dist)",
    source=f"{_STABLE_ABI}; {_TABLE}",
)
def _torch_floor(case: LibraryCase) -> Iterator[Found]:
    """A library imports a C symbol that some torch of the wheel's range lacks."""
    table = load_torch_symbols()
    # Without a floor, and without a requirement, another rule asks for one.
    if not case.claims.torch_bounded:
        return
    admitted = case.claims.admits(table.minors)
    lacking: dict[tuple[MinorVersion, ...], list[Import]] = defaultdict(list)
    for symbol in case.imports.get(Provider.SHIM, ()):
        # A weak one is null where it is missing, and code can ask for that.
        if symbol.weak:
            continue
        having = table.having(symbol.name)
        if having and (without := tuple(minor for minor in admitted if minor not in having)):
            lacking[without].append(symbol)
    for without, symbols in sorted(lacking.items()):
        common = sorted(frozenset.intersection(*(table.having(symbol.name) for symbol in symbols)))
        newer = bool(common) and without[-1] < common[0]
        facts = {"symbols": sorted(symbol.name for symbol in symbols), "lacking": list(map(str, without))}
        if newer:
            since, floor = common[0], min(case.claims.torch_floor, without[0])
            yield Found(
                case.library.name,
                f"imports {shown(symbols)}, new in torch {since} (expected symbols of torch {floor} or older)",
                f"in torch {minors(without)} the library would fail to load with 'undefined symbol'",
                f"""do without, or set `torch = ">={since}"`""",
                facts={**facts, "since": str(since)},
                others=Others(
                    fix=f"require torch>={since} (Requires-Dist), or do without: TORCH_TARGET_VERSION of the oldest "
                    "torch finds it"
                ),
            )
        else:
            known = minors(common) if common else "no one torch"
            yield Found(
                case.library.name,
                f"imports {shown(symbols)}, which torch {minors(without)} lacks (found in torch {known})",
                f"in torch {minors(without)} the library would fail to load with 'undefined symbol'",
                facts=facts,
            )


@rule(
    "strong-cuda-shim",
    needs=_NEEDS,
    why="CPU builds of torch have no libtorch_cuda.so: the library would not load there",
    fix="use gpuwheel/torch.h, or redeclare the function with __attribute__((weak)) and test it before the call",
    source="System V ABI, Symbol Table (STB_WEAK); `gpuwheel/data/torch_shims.toml` has the library of each shim",
    others=Others(
        Severity.NOTE,
        "declare the functions __attribute__((weak)) and test them before the call, or ship a file without them",
    ),
)
def _strong_cuda_shim(case: LibraryCase) -> Iterator[Found]:
    """A library cannot do without a symbol that CPU builds of torch lack."""
    if case.claims.torch is TorchAbi.EXACT:
        return
    shims = case.tables.shims
    strong = [
        symbol
        for symbol in case.imports.get(Provider.SHIM, ())
        if symbol.name in shims and shims[symbol.name].library == "libtorch_cuda.so" and not symbol.weak
    ]
    if strong:
        problem = f"needs {shown(strong)} of libtorch_cuda.so (strong reference, expected a weak one)"
        yield Found(case.library.name, problem)


@rule(
    "torch-unknown-symbol",
    needs=_NEEDS,
    why="the library would fail to load with 'undefined symbol', in old torches at least",
    fix="call a function of the stable ABI",
    source=f"{_STABLE_ABI}; {_TABLE}",
)
def _torch_unknown_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library imports a symbol with a name of torch's that no known torch has."""
    symbols = [symbol for symbol in case.imports.get(Provider.UNKNOWN_SHIM, ()) if not symbol.weak]
    newest = max(load_torch_symbols().minors)
    # A torch that came after the table may have it, and so may a library that nobody knows.
    if symbols and not _strangers(case):
        yield Found(
            case.library.name,
            f"imports a torch symbol that no known torch has ({shown(symbols)}, expected one of torch's stable ABI)",
            fix=f"call a function of the stable ABI (gpuwheel knows torch up to {newest})",
            facts={"symbols": sorted(symbol.name for symbol in symbols)},
        )


def _strangers(case: LibraryCase) -> bool:
    return any(name not in TORCH_LIBRARIES and name.startswith("libtorch") for name in case.library.needed)


@rule(
    "torch-not-needed",
    needs=_NEEDS,
    why="`import torch` opens its libraries out of sight of others (RTLD_LOCAL): the symbols would not be found",
    fix=f"link {TORCH} after -Wl,--no-as-needed (GpuWheel::torch_stable)",
    source="dlopen(3): RTLD_LOCAL, which Python's import uses",
    others=Others(fix=f"link {TORCH}, or the libraries of torch that have the symbols (-ltorch_cpu -lc10)"),
)
def _torch_not_needed(case: LibraryCase) -> Iterator[Found]:
    """A library uses torch's symbols, and neither it nor what loads it asks for a library of torch's."""
    used = [symbol for kind in (Provider.SHIM, Provider.TORCH_CPP) for symbol in case.imports.get(kind, ())]
    strong = [symbol for symbol in used if not symbol.weak]
    # What needs it may need torch too: then torch is in the scope that both are loaded into. A wheel that does not even
    # require torch is another rule's.
    if strong and case.claims.torch_minors != () and not TORCH_LIBRARIES & case.neighbours.scopes(case.library):
        yield Found(
            case.library.name,
            f"uses torch's symbols without asking for it ({TORCH} is not in DT_NEEDED, expected there)",
            facts={"symbols": sorted(symbol.name for symbol in strong)[:50]},
        )


C_SYMBOL_RULES = (_torch_floor, _strong_cuda_shim, _torch_unknown_symbol, _torch_not_needed)
"""About one library (`LibraryCase`)."""
