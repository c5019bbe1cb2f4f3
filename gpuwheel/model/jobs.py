"""What one cell compiles, resolved before anything is downloaded: files of the project, and what was chosen of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.model.cells import Cell
    from gpuwheel.model.kernels import KernelGroup
    from gpuwheel.model.libraries import HostLibrary, LauncherPackage, NvccLibrary
    from gpuwheel.model.pins import HeadersPin, Pin
    from gpuwheel.model.versions import MinorVersion

__all__ = ["Files", "Job", "ProjectFiles", "SourceCost"]


@dataclass(frozen=True)
class Files:
    """What the patterns of one table of the configuration name: real files and folders, absolute paths."""

    sources: tuple[Path, ...]
    """Sorted."""
    include_dirs: tuple[Path, ...]
    """In the order of the search."""


@dataclass(frozen=True)
class ProjectFiles:
    """The files of a project that are compiled, whatever cell is built of it."""

    root: Path
    kernels: Mapping[str, Files]
    """By kernel group; those that no extension uses are left out."""
    extensions: Mapping[str, Files]
    """By import path."""


@dataclass(frozen=True)
class Job:
    """Everything that one cell compiles, and for what. Modes carry it out, and choose nothing anew."""

    cell: Cell
    root: Path
    """The project folder."""
    groups: Mapping[MinorVersion, tuple[KernelGroup, ...]]
    """Toolkit, that of the cell first -> the kernel groups that it compiles, in the order of the configuration."""
    libraries: tuple[HostLibrary, ...] = ()
    """The extensions of mode `embed`, in the order of the configuration."""
    nvcc_libraries: tuple[NvccLibrary, ...] = ()
    """Those of mode `nvcc`."""
    launchers: tuple[LauncherPackage, ...] = ()
    """Those of mode `kernels`."""
    own_cmake: Path | None = None
    """The folder of the project's own CMakeLists.txt, which then names the sources."""
    torch_headers: HeadersPin | None = None
    """What host code is compiled against, if it uses torch."""
    cxx_standard: int = 0
    """Least C++ dialect of libraries on torch's C++ ABI."""
    nvcc_compression: tuple[str, ...] = ()
    """Options of nvcc, from the driver floor."""
    pins: tuple[Pin, ...] = ()
    """What device code may be compiled by and with, as far as it is pinned."""

    def toolkits(self, *, cutile: bool) -> list[MinorVersion]:
        """Those that compile kernel groups of CUDA C++, or of cuTile sources."""
        return [cuda for cuda, groups in self.groups.items() if any(one.uses_cutile == cutile for one in groups)]

    @property
    def linked(self) -> frozenset[str]:
        """Libraries of the CUDA toolkit that stay outside of the wheel, by their names after `-l`."""
        return frozenset(name for library in self.nvcc_libraries for name in library.libraries)


@dataclass(frozen=True)
class SourceCost:
    """What compiling one source took, or linking one library."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """Seconds of processors, of all programs together; 0 where a server did the work."""
    peak: int | None
    """Bytes that its largest program held at once; `None`: not known."""
    seen: int = 0
    """When it was last measured, in seconds since 1970."""
