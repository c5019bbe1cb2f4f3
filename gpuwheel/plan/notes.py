"""What is true of an accepted cell and may surprise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.compatibility import serves
from gpuwheel.plan.checks import arch_lists, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpuwheel.compatibility import CudaToolkit, Tables
    from gpuwheel.config.model import Settings
    from gpuwheel.model.archs import ArchTarget
    from gpuwheel.model.cells import Cell

__all__ = ["notes"]


def notes(cell: Cell, settings: Settings, tables: Tables) -> tuple[str, ...]:
    """Lines about PTX and old drivers, architectures on their way out, and kernel groups that cover less."""
    toolkit = tables.cuda[cell.cuda]
    lists = arch_lists(settings)
    targets = sorted({target for listed in lists.values() for target in listed})
    return (
        *_ptx(cell, toolkit, targets),
        *_deprecated(toolkit, targets),
        *_renamed(tables, targets),
        *_group_gaps(cell, lists, tables),
    )


def _ptx(cell: Cell, toolkit: CudaToolkit, targets: Iterable[ArchTarget]) -> Iterator[str]:
    """A driver loads PTX only of the CUDA version it supports or older ("PTX exception" of minor compatibility)."""
    # https://docs.nvidia.com/deploy/cuda-compatibility/ has the exception.
    if any(target.ptx for target in targets) and toolkit.driver and cell.driver_floor < toolkit.driver:
        yield (
            f"PTX of cuda {cell.cuda} (ISA {toolkit.ptx_isa}) loads on drivers >={toolkit.driver}; "
            f"drivers >={cell.driver_floor} before it run the cubins only"
        )


def _deprecated(toolkit: CudaToolkit, targets: Iterable[ArchTarget]) -> Iterator[str]:
    leaving = sorted({target.arch for target in targets} & set(toolkit.nvrtc_deprecated or ()))
    if leaving:
        yield f"NVRTC {toolkit.version} calls {listed(leaving)} deprecated: a later toolkit drops support"


def _renamed(tables: Tables, targets: Iterable[ArchTarget]) -> Iterator[str]:
    for arch in sorted({target.arch for target in targets} & set(tables.renamed)):
        yield f"{arch} is called {tables.renamed[arch]} by later toolkits"


def _group_gaps(cell: Cell, lists: dict[str, tuple[ArchTarget, ...]], tables: Tables) -> Iterator[str]:
    """Devices that the project serves, and a kernel group or source with its own architectures does not."""
    for key, targets in lists.items():
        gaps = [device for device in tables.devices if serves(cell.archs, device) and not serves(targets, device)]
        if gaps:
            yield f"{key} has no image for {listed(gaps)}, which archs of the project serve"
