"""nvmath-python as an optional dependency: one extra per major of CUDA, named as nvmath-python names its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

__all__ = ["NVMATH", "NVMATH_EXTRAS", "nvmath_requirement"]

NVMATH = "nvmath-python"

NVMATH_EXTRAS = {"cu12": 12, "cu13": 13}
"""Extra -> major of the CUDA whose libraries it brings."""


def nvmath_requirement(extra: str, floor: SpecifierSet) -> str:
    """What an extra of a package requires (PEP 508), without the marker: "nvmath-python[cu13]>=1.0".

    The floor is no decoration: without one, installers that find no solution with a new release take, in silence, an
    old one that does not have the extra.
    """
    return f"{NVMATH}[{extra}]{floor}"
