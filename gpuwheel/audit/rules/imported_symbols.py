"""What a library may import, if one file is to load in every torch of its range, with and without CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.providers import Provider, shown
from gpuwheel.audit.rules.python.pythons import suffix_of
from gpuwheel.model.findings import Found, Others, Part, Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase

__all__ = ["IMPORTED_SYMBOL_RULES"]

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}


@rule(
    "python-symbol",
    needs=_NEEDS,
    why="the wheel says py3-none: it must load in every Python",
    fix="register operators with STABLE_TORCH_LIBRARY and load them with torch.ops.load_library",
    source="Platform compatibility tags (PEP 425): the ABI tag",
    others=Others(fix="tag the wheel for the Python that it was built with, or use the limited API and abi3"),
)
def _python_symbol(case: LibraryCase) -> Iterator[Found]:
    """A library of a wheel for every Python imports symbols of Python."""
    python = case.imports.get(Provider.PYTHON)
    if python and not case.claims.python:
        # Only the Python that the suffix names imports the file: a wheel of others may hold one for each.
        told = Profile.OWN if suffix_of(case.library.name) else None
        problem = f"imports symbols of Python ({shown(python)}, expected none)"
        yield Found(case.library.name, problem, cause="", profile=told)


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


IMPORTED_SYMBOL_RULES = (
    _python_symbol,
    _cuda_symbol,
)
"""About one library (`LibraryCase`)."""
