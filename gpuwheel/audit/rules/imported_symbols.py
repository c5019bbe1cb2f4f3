"""What a library may import, if one file is to load in every torch of its range, with and without CUDA."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.platform import system_libraries
from gpuwheel.audit.providers import Provider, shown
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Part, Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase
    from gpuwheel.binary.elf import ElfFile, Import
    from gpuwheel.model.versions import MinorVersion

__all__ = ["IMPORTED_SYMBOL_RULES", "TORCH"]

TORCH = "libtorch.so"
"""In CUDA and CPU builds of torch alike; it brings torch's other libraries."""

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
_STABLE_ABI = "PyTorch documentation, LibTorch Stable ABI"
_WITH_VERSIONS = (
    "libc.",
    "libm.",
    "libdl.",
    "libpthread.",
    "librt.",
    "libgcc_s.",
    "libstdc++.",
    "libutil.",
    "ld-linux",
)
"""System libraries all of whose symbols have versions, so that one without is none of theirs; libz.so.1 is no such."""
_OPENMP = ("GOMP_", "omp_")
"""What GCC calls for OpenMP (libgomp manual, "The libgomp ABI")."""


@rule(
    "torch-floor",
    needs=_NEEDS,
    why="under the oldest torch of its range the library would fail to load with 'undefined symbol'",
    fix="do without, or raise `torch` to the version that has it",
    source=f"{_STABLE_ABI}: shims are only added; `gpuwheel/data/torch_shims.toml` has the first torch of each",
)
def _torch_floor(case: LibraryCase) -> Iterator[Found]:
    """A library imports a symbol that is newer than the oldest torch the wheel promises."""
    if case.claims.torch is TorchAbi.EXACT:
        return
    newer: dict[MinorVersion, list[Import]] = defaultdict(list)
    floor, shims = case.claims.torch_floor, case.tables.shims
    for symbol in case.imports.get(Provider.SHIM, ()):
        # A weak one is null where it is missing, and code can ask for that.
        if shims[symbol.name].since > floor and not symbol.weak:
            newer[shims[symbol.name].since].append(symbol)
    for since, too_new in sorted(newer.items()):
        yield Found(
            case.library.name,
            f"imports {shown(too_new)}, new in torch {since} (expected symbols of torch {floor} or older)",
            f"under torch {floor} the library would fail to load with 'undefined symbol'",
            f"""do without, or set `torch = ">={since}"`""",
        )


@rule(
    "strong-cuda-shim",
    needs=_NEEDS,
    why="CPU builds of torch have no libtorch_cuda.so: the library would not load there",
    fix="use gpuwheel/torch.h, or redeclare the function with __attribute__((weak)) and test it before the call",
    source="System V ABI, Symbol Table (STB_WEAK); `gpuwheel/data/torch_shims.toml` has the library of each shim",
    doctrine=True,
)
def _strong_cuda_shim(case: LibraryCase) -> Iterator[Found]:
    """A library cannot do without a symbol that CPU builds of torch lack."""
    if case.claims.torch is TorchAbi.EXACT:
        return
    shims, symbols = case.tables.shims, case.imports.get(Provider.SHIM, ())
    strong = [symbol for symbol in symbols if shims[symbol.name].library == "libtorch_cuda.so" and not symbol.weak]
    if strong:
        problem = f"needs {shown(strong)} of libtorch_cuda.so (strong reference, expected a weak one)"
        yield Found(case.library.name, problem)


@rule(
    "torch-unknown-symbol",
    needs=_NEEDS,
    why="the library would fail to load with 'undefined symbol', in old torches at least",
    fix="call a function of the stable ABI",
    source=f"{_STABLE_ABI}; `gpuwheel/data/torch_shims.toml`",
)
def _torch_unknown_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library imports a symbol with a name of torch's that no known torch has."""
    if case.claims.torch is not TorchAbi.EXACT and (unknown := case.imports.get(Provider.UNKNOWN_SHIM)):
        yield Found(
            case.library.name,
            f"imports a torch symbol that no known torch has ({shown(unknown)}, expected one of torch's stable ABI)",
            fix=f"call a function of the stable ABI (gpuwheel knows torch up to {max(case.tables.torch)})",
        )


@rule(
    "torch-unstable-abi",
    needs=_NEEDS,
    why="at::, c10:: and torch:: C++ symbols change from one torch to the next: the library loads in one of them",
    fix="include torch/csrc/stable/*.h and torch/headeronly/*.h only, never ATen, c10 or torch/extension.h",
    source=_STABLE_ABI,
)
def _torch_unstable_abi(case: LibraryCase) -> Iterator[Found]:
    """A library of a wheel for several torches imports C++ symbols of torch."""
    if case.claims.torch is not TorchAbi.EXACT and (unstable := case.imports.get(Provider.TORCH_CPP)):
        problem = f"imports C++ symbols of torch ({shown(unstable)}, expected the stable C ABI alone)"
        yield Found(case.library.name, problem)


@rule(
    "python-symbol",
    needs=_NEEDS,
    why="the wheel says py3-none: it must load in every Python",
    fix="register operators with STABLE_TORCH_LIBRARY and load them with torch.ops.load_library",
    source="Platform compatibility tags (PEP 425): the ABI tag",
)
def _python_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library of a wheel for every Python imports symbols of Python."""
    if not case.claims.python and (python := case.imports.get(Provider.PYTHON)):
        yield Found(case.library.name, f"imports symbols of Python ({shown(python)}, expected none)")


@rule(
    "cuda-symbol",
    needs={Part.LIBRARIES},
    why="on a machine without an NVIDIA driver, or with another CUDA major, the library would not load",
    fix="launch through gpuwheel/launch.h, or link what has them by `libraries` of mode 'nvcc' (cuda, cudart)",
    source="CUDA Compatibility, Minor Version Compatibility; CUDA Driver API, cuGetProcAddress",
    profile=Profile.OWN,
)
def _cuda_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library imports symbols of the CUDA driver or runtime."""
    if cuda := case.imports.get(Provider.CUDA):
        yield Found(case.library.name, f"imports symbols of CUDA ({shown(cuda)}, expected none)")


@rule(
    "unresolved-symbol",
    needs={Part.LIBRARIES},
    why="the library would fail to load with 'undefined symbol'",
    fix="add the source that defines them to `sources`; if they are of a newer glibc, name a newer `platform`",
    source="System V ABI, Dynamic Linking; every symbol of glibc and libstdc++ has a version",
)
def _unresolved_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library imports symbols that nothing it asks for provides."""
    library, symbols = case.library, case.imports.get(Provider.NOBODY, ())
    unresolved = [symbol for symbol in symbols if not symbol.weak and not _of_torch(symbol, library)]
    system = system_libraries(case.tables, library.machine)
    known = {name for name in system if name.startswith(_WITH_VERSIONS)} | {TORCH}
    # A further library, refused elsewhere, may provide them.
    if unresolved and known.issuperset(library.needed):
        yield Found(library.name, f"imports symbols that nothing provides ({shown(unresolved)}, expected none)")


def _of_torch(symbol: Import, library: ElfFile) -> bool:
    """Whether it is of the OpenMP runtime that torch's own libraries bring, and which libtorch.so makes visible."""
    return symbol.name.startswith(_OPENMP) and TORCH in library.needed


IMPORTED_SYMBOL_RULES = (
    _torch_floor,
    _strong_cuda_shim,
    _torch_unknown_symbol,
    _torch_unstable_abi,
    _python_symbol,
    _cuda_symbol,
    _unresolved_symbol,
)
"""About one library (`LibraryCase`)."""
