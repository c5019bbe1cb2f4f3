"""`[tool.gpuwheel]` as typed values.

The text under each field is its documentation. The JSON schema (`data/gpuwheel.schema.json`) and
`docs/reference/configuration.md` are generated from this module; CI fails when they are stale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from gpuwheel.model.archs import ArchTarget
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["Extension", "Kernels", "Mode", "ProjectFacts", "Settings", "WheelSettings"]


class Mode(Enum):
    """How an extension is compiled."""

    EMBED = "embed"
    """Device code by NVRTC into one fatbin inside the library; host code by the C++ compiler, on torch's stable ABI."""


@dataclass(frozen=True)
class Kernels:
    """`[tool.gpuwheel.kernels.NAME]`: device code, free of torch and Python headers, compiled once."""

    sources: tuple[str, ...]
    """Globs of `.cu` files, relative to the project."""
    include_dirs: tuple[str, ...] = ()
    """Folders searched by `#include`, relative to the project. The folder of each source is always searched."""
    defines: tuple[str, ...] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: tuple[str, ...] = ()
    """Further NVRTC options, for example `--use_fast_math`."""
    std: str = "c++17"
    """C++ dialect: `c++17` or `c++20`."""
    archs: tuple[ArchTarget, ...] | None = None
    """Architectures of this group, where they differ from `archs` of the project."""
    lineinfo: bool = False
    """Record source lines for profilers. Doubles the size of the images."""
    budget: int | None = None
    """Most registers a thread of any kernel of the group may use; the build fails above it."""


@dataclass(frozen=True)
class Extension:
    """`[tool.gpuwheel.extensions."package.name"]`: one shared library; the key is its import path."""

    sources: tuple[str, ...]
    """Globs of C++ files, relative to the project."""
    mode: Mode = Mode.EMBED
    """How it is compiled: `embed`."""
    kernels: tuple[str, ...] = ()
    """Kernel groups whose image goes into the library."""
    include_dirs: tuple[str, ...] = ()
    """Folders searched by `#include`, relative to the project."""
    defines: tuple[str, ...] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: tuple[str, ...] = ()
    """Further options for the C++ compiler."""
    link_flags: tuple[str, ...] = ()
    """Further options for the link."""
    std: str = "c++17"
    """C++ dialect: `c++17` or `c++20`."""


@dataclass(frozen=True)
class WheelSettings:
    """`[tool.gpuwheel.wheel]`: what the finished file must be."""

    platform: str | None = None
    """Oldest platform the wheel must install on, for example `manylinux_2_28`; the build fails if the symbols need
    a newer one. Unset: the oldest that the symbols allow."""
    max_size: int | None = None
    """Largest size of the file, for example `"100 MB"`; the build fails above it."""


@dataclass(frozen=True)
class Settings:
    """`[tool.gpuwheel]`."""

    torch: SpecifierSet
    """Versions of torch the wheel runs on, as a floor: `>=2.10`. Written into the wheel's dependencies."""
    archs: tuple[ArchTarget, ...]
    """Compute capabilities to compile for; `+PTX` adds code that the driver compiles for newer GPUs."""
    minimum_version: Version | None = None
    """Version of gpuwheel whose defaults this project was written for."""
    cuda: MinorVersion | None = None
    """CUDA toolkit that compiles the device code. `embed` takes one, `12.9` unless stated."""
    driver: DriverVersion | None = None
    """Oldest NVIDIA driver the wheel runs on, `>=525` unless stated."""
    dependencies: tuple[str, ...] = ()
    """Further run-time dependencies (PEP 508); torch is added by gpuwheel."""
    kernels: dict[str, Kernels] = field(default_factory=dict)
    """Kernel groups by name."""
    extensions: dict[str, Extension] = field(default_factory=dict)
    """Extensions by import path."""
    wheel: WheelSettings = field(default_factory=WheelSettings)
    """What the finished file must be."""


@dataclass(frozen=True)
class ProjectFacts:
    """What gpuwheel needs to know of `[project]`, and where the project is."""

    root: Path
    name: str
    requires_python: str | None
    dependencies: tuple[str, ...] | None
    """Static `[project] dependencies`, or `None` where they are dynamic."""
