"""A word where the torch that is installed beside a build is not one that the result loads with."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from gpuwheel.model.choices import TorchAbi

if TYPE_CHECKING:
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.reporter import Reporter

__all__ = ["compare_torch"]


def compare_torch(cell: Cell, reporter: Reporter) -> None:
    """Warn of a torch in this environment that the wheel of `cell` is not for.

    In an isolated build there is none, and nothing to say. gpuwheel builds for the torch that the project names,
    whatever is installed: who builds without isolation mostly means to use what is there.
    """
    if cell.torch is TorchAbi.NONE:
        return
    try:
        # Its metadata, and not `import torch`: that takes seconds, and runs code. Damaged metadata has no version
        # (None: TypeError).
        found = Version(importlib.metadata.version("torch"))
    except (importlib.metadata.PackageNotFoundError, InvalidVersion, TypeError):
        return
    floor, minor = (cell.torch_floor.major, cell.torch_floor.minor), (found.major, found.minor)
    # torch's C++ ABI may change with each minor, and stays within one.
    if cell.torch is TorchAbi.EXACT and minor != floor:
        served, instead = f"torch {cell.torch_floor} alone", f"=={found.major}.{found.minor}.*"
    elif minor < floor:
        served, instead = f"torch {cell.torch_floor} and newer", f">={found.major}.{found.minor}"
    else:
        return
    reporter.warn(
        f"this is built for {served}, and torch {found} is installed here, with which it does not load: "
        f'torch = "{instead}" in [tool.gpuwheel] builds for that one'
    )
