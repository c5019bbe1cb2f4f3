"""What a library may import, if one file is to load in every torch of its range, with and without CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.platform import system_libraries
from gpuwheel.audit.providers import TORCH, Provider, shown
from gpuwheel.model.findings import Found, Part, Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase
    from gpuwheel.binary.elf import ElfFile, Import

__all__ = ["IMPORTED_SYMBOL_RULES"]

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
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
    _python_symbol,
    _cuda_symbol,
    _unresolved_symbol,
)
"""About one library (`LibraryCase`)."""
