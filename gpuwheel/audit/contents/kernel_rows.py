"""The kernels of a wheel's machine code, with what each costs: read on demand, for the code has to be unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.binary.cubin import read_cubin
from gpuwheel.binary.unpacked import unpacked_image
from gpuwheel.errors import GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.binary.fatbin import Image

__all__ = ["KernelRow", "kernel_rows"]


@dataclass(frozen=True)
class KernelRow:
    """One kernel for one architecture."""

    file: str
    """The member that holds it."""
    target: str
    """ "sm_90a"."""
    symbol: str
    """As it is mangled."""
    registers: int
    """Per thread."""
    shared: int
    """Static shared memory, in bytes."""
    local: int
    """Stack frame per thread in bytes: arrays, and what was spilled."""
    size: int
    """Bytes of machine code."""
    spill_stores: int | None = None
    """Bytes that its instructions spill; `None`: the code does not say (compilers before CUDA 12.6)."""
    spill_loads: int | None = None
    """Bytes that they load again."""


def kernel_rows(code: Mapping[str, Iterable[Image]], unread: list[str]) -> tuple[KernelRow, ...]:
    """Every kernel, sorted; while the wheel is open.

    Args:
        code: machine code by the member that holds it; of other kinds nothing is read.
        unread: gets a sentence for each piece that cannot be read.
    """
    found = []
    for name, images in code.items():
        for image in (image for image in images if image.kind == "cubin"):
            try:
                kernels = read_cubin(unpacked_image(image, f"{name}: {image}"), f"{name}: {image}")
            except GpuwheelError as error:
                unread.append(error.message)
                continue
            found += [
                KernelRow(
                    file=name,
                    target=str(image),
                    symbol=kernel.symbol,
                    registers=kernel.cost.registers,
                    shared=kernel.cost.shared,
                    local=kernel.cost.local,
                    size=kernel.cost.bytes,
                    spill_stores=kernel.spilled and kernel.spilled.stores,
                    spill_loads=kernel.spilled and kernel.spilled.loads,
                )
                for kernel in kernels
            ]
    return tuple(sorted(found, key=lambda row: (row.file, row.symbol, len(row.target), row.target)))
