"""What is inside a kernel image, and the manifest that a wheel carries about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.model.archs import Arch

__all__ = [
    "BuiltGroup",
    "BuiltImage",
    "BuiltKernel",
    "CompiledGroup",
    "KernelCost",
    "KernelFacts",
    "KernelGroup",
    "Parameter",
    "Spilled",
    "TileArray",
    "TileConstant",
    "TileFunction",
    "TileParameter",
    "TileScalar",
]


@dataclass(frozen=True)
class Parameter:
    """One kernel parameter as the cubin records it, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class KernelCost:
    """What one kernel costs on one architecture. Bytes, except `registers` (per thread)."""

    bytes: int
    """Size of the SASS."""
    registers: int
    shared: int
    """Static shared memory as the cubin records it (from sm_90 on with the 1 KB that the system reserves)."""
    local: int
    """Stack frame per thread; a spill is part of it."""
    spill: int = 0
    """Spill stores plus loads, from ptxas; not part of the manifest's contract."""


class Spilled(NamedTuple):
    """What a kernel moves to memory for want of registers: bytes of the instructions that do, each counted once."""

    stores: int
    loads: int


@dataclass(frozen=True)
class KernelFacts:
    """One kernel of one cubin."""

    symbol: str
    """The mangled name that the driver looks up."""
    parameters: tuple[Parameter, ...]
    cost: KernelCost
    spilled: Spilled | None = None
    """As the machine code says; `None`: it does not."""


@dataclass(frozen=True)
class KernelGroup:
    """`[tool.gpuwheel.kernels.NAME]`, resolved: real files, real architectures, absolute paths."""

    name: str
    sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...]
    flags: tuple[str, ...]
    std: str
    """"c++17" or "c++20"; nothing to cuTile sources."""
    cubin_archs: tuple[Arch, ...]
    ptx_archs: tuple[Arch, ...]
    lineinfo: bool
    compression: tuple[str, ...]
    """nvFatbin options, from the driver floor."""
    root: Path
    """The project folder: sources are named relative to it in messages and in line info."""

    @property
    def uses_cutile(self) -> bool:
        """Whether the sources are Python modules with cuTile kernels, not CUDA C++. All are of one sort."""
        # `config.laws` refuses a group that mixes them.
        return self.sources[0].suffix == ".py"


@dataclass(frozen=True)
class TileArray:
    """An array that a cuTile kernel takes, and what its machine code assumes of it (`ArrayConstraint` of cuda.tile)."""

    name: str
    dtype: str
    """As torch spells it."""
    index_dtype: str
    """Of shape and strides as they are passed."""
    alignment: int
    """Divides the address; in bytes."""
    shape: tuple[int | None, ...]
    """Length of each dimension; `None`: any."""
    shape_divisor: tuple[int, ...]
    strides: tuple[int | None, ...]
    """In elements, as every stride here; `None`: any."""
    stride_divisor: tuple[int, ...]
    least_strides: tuple[int | None, ...]
    expanded: bool
    """Whether several indices may name one element."""


@dataclass(frozen=True)
class TileScalar:
    """A number that a cuTile kernel takes."""

    name: str
    dtype: str


@dataclass(frozen=True)
class TileConstant:
    """A parameter that was given its value when the kernel was compiled; a launch does not pass it."""

    name: str
    value: str
    """As Python writes it."""


TileParameter: TypeAlias = "TileArray | TileScalar | TileConstant"


@dataclass(frozen=True)
class TileFunction:
    """A cuTile kernel with one signature, as its source shows it."""

    name: str
    """Of the Python function; the symbol is the signature's."""
    line: int
    documentation: str
    """Its docstring; may be empty."""
    parameters: tuple[TileParameter, ...]


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel of a compiled image."""

    symbol: str
    """The mangled name that the driver looks up."""
    parameters: tuple[Parameter, ...]
    tile: TileFunction | None = None
    """What it was compiled from, if that was cuTile."""


@dataclass(frozen=True)
class BuiltImage:
    """The fatbin of one source, or of one cuTile kernel, a part of its group's file."""

    source: str
    """Relative to the project."""
    offset: int
    """Bytes from the start of the group's file."""
    size: int
    kernels: tuple[BuiltKernel, ...]


@dataclass(frozen=True)
class CompiledGroup:
    """The images of a kernel group on disk."""

    name: str
    fatbin: Path
    kernels: Mapping[str, Mapping[str, KernelCost]]
    """Demangled kernel name -> "sm_90" -> cost."""
    cubin_archs: tuple[Arch, ...]
    ptx_archs: tuple[Arch, ...]
    images: tuple[BuiltImage, ...] = ()
    """In the order in which they lie in the fatbin's file."""


@dataclass(frozen=True, kw_only=True)
class BuiltGroup(CompiledGroup):
    """A compiled kernel group with what host code in C++ launches it by."""

    header: Path
    """The generated `NAME.kernels.h`."""
    assembly: Path
    """`NAME.S`, which puts the fatbin into section `.nv_fatbin`."""
