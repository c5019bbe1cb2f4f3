"""A shared library to build: host code and the kernel images inside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from gpuwheel.model.archs import Arch, machine_code

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.archs import ArchTarget
    from gpuwheel.model.choices import PythonAbi, TorchAbi
    from gpuwheel.model.versions import MinorVersion

__all__ = [
    "DESCRIBE",
    "OWN_FUNCTIONS",
    "WRITTEN",
    "HostLibrary",
    "LauncherPackage",
    "NarrowLine",
    "NvccLibrary",
    "NvccSource",
    "Survey",
    "SurveyLine",
    "Verdict",
]


OWN_FUNCTIONS = "gpuwheel_compat_"
"""How the C functions begin by which Python reaches a library with `abi = "compat"`."""
DESCRIBE = f"{OWN_FUNCTIONS}open"
"""The one of them that says, as JSON, what the module holds; told 1, it registers that with torch."""


WRITTEN = "Written by gpuwheel"
"""In the head of each text that a build writes beside a library, which it may replace."""


@dataclass(frozen=True)
class _Library:
    """What any shared library has."""

    import_path: str
    """For example "fused_ops._C": the library lands at `fused_ops/_C.so`."""
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...]
    flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    std: str
    """"c++17" or "c++20"."""

    @property
    def package(self) -> str:
        """The folder of the wheel that the library lands in: "fused_ops"."""
        return "/".join(self.import_path.split(".")[:-1])

    @property
    def name(self) -> str:
        """The last part of the import path, which the entry point of a Python module carries: "_C"."""
        return self.import_path.rpartition(".")[2]


@dataclass(frozen=True)
class HostLibrary(_Library):
    """`[tool.gpuwheel.extensions."package.name"]`, resolved: real files, absolute paths."""

    sources: tuple[Path, ...]
    kernels: tuple[str, ...]
    """Names of the kernel groups whose image goes inside."""

    @property
    def file(self) -> str:
        """The member of the wheel: "fused_ops/_C.so"."""
        # No tag of Python in the name: torch or ctypes loads it by path, in any Python.
        return "/".join(self.import_path.split(".")) + ".so"


@dataclass(frozen=True)
class NvccSource:
    """One source of an extension in mode `nvcc`."""

    path: Path
    cuda: bool
    """Whether nvcc compiles it, or else the C++ compiler."""
    targets: tuple[ArchTarget, ...]
    """What it is compiled for, if nvcc compiles it."""
    flags: tuple[str, ...]


@dataclass(frozen=True)
class NvccLibrary(_Library):
    """`[tool.gpuwheel.extensions."package.name"]` in mode `nvcc`, resolved: real files, absolute paths."""

    sources: tuple[NvccSource, ...]
    nvcc_flags: tuple[str, ...]
    rdc: bool
    """Whether device code of one source calls that of another."""
    torch: TorchAbi
    python: PythonAbi
    libraries: tuple[str, ...]
    """Of the CUDA toolkit, as after `-l`."""
    include_packages: tuple[str, ...]
    """"DISTRIBUTION/FOLDER"."""
    exports: tuple[str, ...]
    declared: frozenset[ArchTarget] = frozenset()
    """What the user's own CMake project compiles it for, which names the sources."""

    @property
    def targets(self) -> frozenset[ArchTarget]:
        """What some source is compiled for."""
        return frozenset(target for source in self.sources if source.cuda for target in source.targets) | self.declared

    @property
    def cubins(self) -> frozenset[Arch]:
        """Architectures that some source is compiled for."""
        compiled = (machine_code(source.targets) for source in self.sources if source.cuda)
        return frozenset[Arch]().union(machine_code(self.declared), *compiled)

    @property
    def ptx(self) -> frozenset[Arch]:
        """Architectures that some source has PTX for."""
        return frozenset(target.arch for target in self.targets if target.ptx)


@dataclass(frozen=True)
class LauncherPackage:
    """`[tool.gpuwheel.extensions."package.name"]` in mode `kernels`, resolved: Python modules beside images."""

    import_path: str
    kernels: tuple[str, ...]
    """Names of the kernel groups that it launches."""
    toolkits: frozenset[MinorVersion]
    """Those whose images it may have: of the cell, and the further ones that it names."""

    @property
    def package(self) -> str:
        """The folder of the wheel that holds its own: "fused_ops"; its own where no other does."""
        return (self.import_path.rpartition(".")[0] or self.import_path).replace(".", "/")


@dataclass(frozen=True)
class NarrowLine:
    """A line of a source, or of a header, that ties the wheel to one torch or one Python."""

    extension: str
    place: str
    """"csrc/ops.cpp:3", or "csrc/ops.h:7 (from csrc/ops.cpp:1)"."""
    header: str
    torch: bool
    """Whether it asks for torch's C++ ABI."""
    python: bool
    """Whether it makes a Python module."""
    conditional: bool = False
    """Whether it is in a header, and a condition of the preprocessor's decides about it."""


class Verdict(Enum):
    """Whether sources of torch's C++ ABI can be compiled with `abi = "compat"`."""

    WHOLE = "whole"
    """As they are: nothing that was read stands in the way."""
    LINES = "lines"
    """But for some lines, each of which has an edit that would do."""
    CANNOT = "cannot"
    """Not: they use what no edit of a line replaces."""


@dataclass(frozen=True)
class SurveyLine:
    """A line of a source, or of a header of the project's, that `abi = "compat"` does not take."""

    place: str
    """"csrc/ops.cpp:3", or "csrc/ops.h:7 (from csrc/ops.cpp:1)"."""
    uses: str
    """"c10::Dispatcher", "ATen/native/TensorIterator.h"."""
    why: str
    """Why nothing stands in for it."""
    edit: str | None
    """What to write instead; `None`: nothing would do."""
    conditional: bool
    """Whether a condition of the preprocessor's decides about the line that only a compiler knows."""
    refused: bool = True
    """Whether the table says so, and not only that no header of ours has the name."""

    @property
    def text(self) -> str:
        """For people, in one line."""
        unsure = ", below a condition" if self.conditional else ""
        return f"{self.place} uses {self.uses}{unsure}: {self.why}"


@dataclass(frozen=True)
class Survey:
    """What was read of one extension."""

    extension: str
    """Its import path."""
    lines: tuple[SurveyLine, ...]
    """First those of sources, then those of headers."""

    @property
    def verdict(self) -> Verdict:
        """What the lines come to."""
        if not self.lines:
            return Verdict.WHOLE
        return Verdict.LINES if all(line.edit for line in self.lines) else Verdict.CANNOT

    @property
    def certain(self) -> tuple[SurveyLine, ...]:
        """The lines that the compiler will refuse, whatever conditions hold."""
        return tuple(line for line in self.lines if line.refused and not line.conditional)
