"""`[tool.gpuwheel]` as typed values.

The text under each field is its documentation. The JSON schema (`data/gpuwheel.schema.json`) and
`docs/reference/configuration.md` are generated from this module; CI fails when they are stale.
"""

# ruff: noqa: TC001, TC002, TC003 -- the types of the fields are resolved at run time, by config.shape

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = [
    "ByteSize",
    "Dialect",
    "Extension",
    "Extra",
    "ExtraName",
    "Glob",
    "GroupName",
    "ImportPath",
    "Kernels",
    "LoadedConfig",
    "Mode",
    "PlatformTag",
    "ProjectFacts",
    "ReleaseFloor",
    "Requirement",
    "Settings",
    "TorchFloor",
    "WheelSettings",
]

# The annotation tells `config.convert` how such a value is written; to a type checker they are their base type.
ByteSize = Annotated[int, "size"]
Dialect = Literal["c++17", "c++20"]
ExtraName = Annotated[str, "extra name"]
Glob = Annotated[str, "glob"]
GroupName = Annotated[str, "group name"]
ImportPath = Annotated[str, "import path"]
PlatformTag = Annotated[str, "platform tag"]
ReleaseFloor = Annotated[SpecifierSet, "floor of a release"]
Requirement = Annotated[str, "requirement"]
TorchFloor = Annotated[SpecifierSet, "floor"]


class Mode(Enum):
    """How an extension is compiled."""

    EMBED = "embed"
    """Device code by NVRTC into one fatbin inside the library; host code by the C++ compiler, on torch's stable ABI."""


@dataclass(frozen=True)
class Kernels:
    """`[tool.gpuwheel.kernels.NAME]`: device code, free of torch and Python headers, compiled once."""

    sources: tuple[Glob, ...]
    """Globs of `.cu` files, relative to the project."""
    include_dirs: tuple[str, ...] = ()
    """Folders searched by `#include`, relative to the project. The folder of each source is always searched."""
    defines: tuple[str, ...] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: tuple[str, ...] = ()
    """Further NVRTC options, for example `--use_fast_math`."""
    std: Dialect = "c++17"
    """C++ dialect."""
    archs: tuple[ArchTarget, ...] | None = None
    """Architectures of this group, where they differ from `archs` of the project."""
    lineinfo: bool = False
    """Record source lines for profilers. Doubles the size of the images."""
    budget: int | None = None
    """Most registers a thread of any kernel of the group may use; the build fails above it."""


@dataclass(frozen=True)
class Extension:
    """`[tool.gpuwheel.extensions."package.name"]`: one shared library; the key is its import path."""

    sources: tuple[Glob, ...]
    """Globs of C++ files, relative to the project."""
    mode: Mode = Mode.EMBED
    """How it is compiled."""
    kernels: tuple[GroupName, ...] = ()
    """Kernel groups whose image goes into the library."""
    include_dirs: tuple[str, ...] = ()
    """Folders searched by `#include`, relative to the project."""
    defines: tuple[str, ...] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: tuple[str, ...] = ()
    """Further options for the C++ compiler."""
    link_flags: tuple[str, ...] = ()
    """Further options for the link."""
    std: Dialect = "c++17"
    """C++ dialect."""


@dataclass(frozen=True)
class Extra:
    """`[tool.gpuwheel.extras.NAME]`: an extra of the package, where gpuwheel writes `optional-dependencies`."""

    requires: tuple[Requirement, ...]
    """What the extra installs (PEP 508)."""


@dataclass(frozen=True)
class WheelSettings:
    """`[tool.gpuwheel.wheel]`: what the finished file must be."""

    platform: PlatformTag | None = None
    """Oldest platform the wheel must install on, for example `manylinux_2_28`; the build fails if the symbols need
    a newer one. Unset: the oldest that the symbols allow."""
    max_size: ByteSize | None = None
    """Largest size of the file, for example `"100 MB"`; the build fails above it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`[tool.gpuwheel]`. Keys without a default here take it from `data/defaults.toml`, frozen by `minimum-version`."""

    minimum_version: Version | None = None
    """Version of gpuwheel that this project was written for: defaults stay as they were in it, and an older gpuwheel
    refuses the project."""
    cuda: MinorVersion
    """CUDA toolkit that compiles the device code. `embed` takes one."""
    driver: DriverVersion
    """Oldest NVIDIA driver the wheel runs on."""
    archs: tuple[ArchTarget, ...]
    """Compute capabilities to compile for; `+PTX` adds code that the driver compiles for newer GPUs."""
    torch: TorchFloor
    """Versions of torch the wheel runs on, as a floor. Written into the wheel's dependencies."""
    dependencies: tuple[Requirement, ...] = ()
    """Further run-time dependencies (PEP 508); torch is added by gpuwheel."""
    nvmath: ReleaseFloor | None = None
    """Versions of nvmath-python that operators of the package use, as a floor. The package gets the extras `cu12` and
    `cu13`, which install it for one major of CUDA; `optional-dependencies` must be in `dynamic` of `[project]`."""
    extras: dict[ExtraName, Extra] = field(default_factory=dict)
    """Further extras of the package, for a project whose `optional-dependencies` gpuwheel writes."""
    kernels: dict[GroupName, Kernels] = field(default_factory=dict)
    """Kernel groups by name: device code, free of torch and Python headers, compiled once."""
    extensions: dict[ImportPath, Extension] = field(default_factory=dict)
    """Extensions by import path: one shared library each, which lands there."""
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


@dataclass(frozen=True)
class LoadedConfig:
    """Everything the user said, merged and checked."""

    settings: Settings
    project: ProjectFacts
    origins: Mapping[str, str]
    """Where each given key comes from: "archs" -> "environment GPUWHEEL_ARCHS". Defaults are not listed."""
    inner: Mapping[str, str | list[str]]
    """The `-C` settings that are not gpuwheel's, for scikit-build-core."""
    inner_table: Mapping[str, object]
    """`[tool.scikit-build]` as it stands; scikit-build-core reads it by itself."""
    warnings: tuple[str, ...]
    """Lines for the user: what was honoured from other tools' variables, and what is not used."""
