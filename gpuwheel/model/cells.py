"""A cell of the matrix: one wheel to build, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.choices import TorchAbi

if TYPE_CHECKING:
    from gpuwheel.model.archs import Arch, ArchTarget
    from gpuwheel.model.choices import Mode
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["Cell", "Coverage", "Decision"]


@dataclass(frozen=True)
class Cell:
    """One wheel: which toolkit compiles it, what it runs on."""

    identifier: str
    """For example "embed-cu12.9-torch2.10-linux_x86_64": what `plan` lists and CI selects."""
    mode: Mode
    """That of its extensions, or `Mode.PYTHON` where it has none."""
    cuda: MinorVersion
    archs: tuple[ArchTarget, ...]
    torch_floor: MinorVersion
    driver_floor: DriverVersion
    compression: tuple[str, ...]
    """nvFatbin options that the driver floor allows."""
    platform: str
    """"linux_x86_64"."""
    python_tag: str = "py3-none"
    """The first two parts of the wheel's tag: "py3-none", "cp310-abi3", "cp311-cp311"."""
    torch: TorchAbi = TorchAbi.STABLE
    """What the wheel asks of torch: any from the floor on, that minor alone, or nothing."""


@dataclass(frozen=True)
class Coverage:
    """Which image serves a compute capability that exists."""

    device: Arch
    served_by: str | None
    """"sm_80" (cubin), "compute_100" (PTX, compiled by the driver), or `None`: kernels do not run there."""


@dataclass(frozen=True)
class Decision:
    """A candidate cell, accepted or rejected with its reason."""

    cell: Cell
    accepted: bool
    reason: str
    coverage: tuple[Coverage, ...] = ()
    notes: tuple[str, ...] = ()
    """What is true of an accepted cell and may surprise."""
    hint: str | None = None
    """What would get a rejected cell accepted."""
