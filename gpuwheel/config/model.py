"""`[tool.gpuwheel]` as typed values.

The text under each field is its documentation. The JSON schema (`data/gpuwheel.schema.json`) and
`docs/reference/configuration.md` are generated from this module; CI fails when they are stale.
"""

# ruff: noqa: TC001, TC002, TC003 -- the types of the fields are resolved at run time, by config.reading.keys

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.cells import CellName
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.libraries import NarrowLine, Survey
from gpuwheel.model.versions import DriverVersion, MinorVersion, VersionPolicy

__all__ = [
    "AuditSettings",
    "ByteSize",
    "Dialect",
    "Extension",
    "ExtensionMode",
    "Extra",
    "ExtraName",
    "Glob",
    "GroupName",
    "ImportPath",
    "Kernels",
    "LibraryName",
    "LoadedConfig",
    "LocalLabel",
    "Machine",
    "PackageFolder",
    "PlatformTag",
    "ProjectFacts",
    "PythonVersion",
    "Pythons",
    "ReleaseFloor",
    "Requirement",
    "Settings",
    "SourceSettings",
    "Toolkit",
    "Toolkits",
    "TorchRange",
    "TorchRanges",
    "TrialSettings",
    "WheelSettings",
]

# The annotation tells `config.reading.convert` how such a value is written; to a type checker they are their base type.
ByteSize = Annotated[int, "size"]
Dialect = Literal["c++17", "c++20"]
ExtensionMode = Literal[Mode.EMBED, Mode.KERNELS, Mode.NVCC]
ExtraName = Annotated[str, "extra name"]
Glob = Annotated[str, "glob"]
GroupName = Annotated[str, "group name"]
ImportPath = Annotated[str, "import path"]
LibraryName = Annotated[str, "library name"]
LocalLabel = Annotated[str, "local version"]
Machine = Annotated[str, "machine"]
PackageFolder = Annotated[str, "folder of a package"]
PlatformTag = Annotated[str, "platform tag"]
ReleaseFloor = Annotated[SpecifierSet, "floor of a release"]
Requirement = Annotated[str, "requirement"]
PythonVersion = Annotated[MinorVersion, "Python"]
Pythons = Annotated[tuple[PythonVersion, ...], "one or more"]
Toolkit = Annotated[MinorVersion, "toolkit, or a policy"]
Toolkits = Annotated[tuple[Toolkit, ...], "one or more"]
TorchRange = Annotated[SpecifierSet, "range of torch"]
TorchRanges = Annotated[tuple[TorchRange, ...], "one or more"]


@dataclass(frozen=True)
class Kernels:
    """`[tool.gpuwheel.kernels.NAME]`: device code, free of torch and Python headers, compiled once."""

    sources: tuple[Glob, ...]
    """Globs of `.cu` files, relative to the project; or, in mode `kernels`, of Python modules with cuTile kernels
    (`*.py`), each of which says what to compile in a dictionary `exports`."""
    include_dirs: tuple[str, ...] = ()
    """Folders searched by `#include`, or by `import` in cuTile sources, relative to the project. The folder of each
    source is always searched."""
    defines: tuple[str, ...] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: tuple[str, ...] = ()
    """Further options for NVRTC, for example `--use_fast_math`; for tileiras where the sources are cuTile's."""
    std: Dialect = "c++17"
    """C++ dialect."""
    archs: tuple[ArchTarget, ...] | None = None
    """Architectures of this group, where they differ from `archs` of the project."""
    lineinfo: bool = False
    """Record source lines for profilers. Doubles the size of the images."""
    budget: int | None = None
    """Most registers a thread of any kernel of the group may use; the build fails above it."""

    @property
    def uses_cutile(self) -> bool:
        """Whether the sources are Python modules with cuTile kernels, not CUDA C++."""
        return any(pattern.endswith(".py") for pattern in self.sources)


@dataclass(frozen=True)
class Extension:
    """`[tool.gpuwheel.extensions."package.name"]`: a shared library or a package of launchers; the key is its path."""

    sources: tuple[Glob, ...] = ()
    """Globs of C++ and C files, and in mode `nvcc` of `.cu` files, relative to the project; the name of a file that is
    there means that file. Mode `kernels` has none; the others need some."""
    mode: ExtensionMode = Mode.EMBED
    """How it is compiled."""
    kernels: tuple[GroupName, ...] = ()
    """Kernel groups whose image goes into the library."""
    include_dirs: tuple[str, ...] = ()
    """Folders searched by `#include`, relative to the project."""
    defines: tuple[str, ...] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: tuple[str, ...] = ()
    """Further options for the C++ compiler, and for the C compiler of `.c` sources. Each entry is one word, passed on
    as it is written; paths are relative to the project."""
    link_flags: tuple[str, ...] = ()
    """Further options for the link. Archives, objects and `-l` stand after the objects, in their order here; paths are
    relative to the project. Libraries of CUDA belong into `libraries`."""
    std: Dialect = "c++17"
    """C++ dialect. With `abi = "exact"` at least the one that headers of all torches need which the project lists."""
    abi: TorchAbi = TorchAbi.STABLE
    """Mode `nvcc`: what it asks of torch."""
    python: PythonAbi = PythonAbi.NONE
    """Mode `nvcc`: what it asks of Python."""
    toolkits: tuple[MinorVersion, ...] = ()
    """Mode `kernels`: further CUDA toolkits that compile the kernels. The wheel holds the images of all of them, and
    loads those of the newest that the driver of the machine supports."""
    nvcc_flags: tuple[str, ...] = ()
    """Mode `nvcc`: further options for nvcc; `flags` go to the C++ compiler."""
    rdc: bool = False
    """Mode `nvcc`: relocatable device code, for kernels that call device functions of other sources."""
    libraries: tuple[LibraryName, ...] = ()
    """Mode `nvcc`: libraries of the CUDA toolkit to link, for example `cublasLt`. They stay outside of the wheel, which
    depends on the packages that have them. The CUDA runtime is linked in, unless `cudart` is named here. `cuda` is the
    driver API, whose functions are looked up at their first call: the library loads where no driver is."""
    include_packages: tuple[PackageFolder, ...] = ()
    """Mode `nvcc`: folders of installed distributions searched by `#include`, for example
    `nvidia-cutlass/cutlass_library/source/include`. The distribution belongs into `requires` of `[build-system]`."""
    exports: tuple[str, ...] = ()
    """Mode `nvcc`: symbols that the library exports, as globs. Unset: the entry point of a Python module, every
    function with C linkage of a library without torch and Python, else nothing."""


@dataclass(frozen=True)
class SourceSettings:
    """`[tool.gpuwheel.sources."path/file.cu"]`: what is particular to some sources of extensions in mode `nvcc`."""

    archs: tuple[ArchTarget, ...] | None = None
    """Architectures of these `.cu` files, where they differ from `archs` of the project, for example `9.0a` for code
    with Hopper's own instructions."""
    flags: tuple[str, ...] = ()
    """Further options for the compiler of these files: nvcc for `.cu`, the C++ compiler for others."""


@dataclass(frozen=True)
class Extra:
    """`[tool.gpuwheel.extras.NAME]`: an extra of the package, where gpuwheel writes `optional-dependencies`."""

    requires: tuple[Requirement, ...]
    """What the extra installs (PEP 508)."""


@dataclass(frozen=True)
class WheelSettings:
    """`[tool.gpuwheel.wheel]`: what the finished file must be."""

    platform: PlatformTag = "system"
    """Oldest platform the wheel must install on, for example `manylinux_2_28`, from `manylinux_2_17` on. Libraries are
    linked against stand-ins for that system's C and C++ libraries, and the build fails if they need newer ones.
    `system`: the libraries of the machine that builds, and the oldest tag that the symbols allow."""
    max_size: ByteSize | None = None
    """Largest size of the file, for example `"100 MB"`; the build fails above it."""
    graft: tuple[str, ...] = ()
    """Libraries of the building machine that `gpuwheel repair`, and so `gpuwheel build`, copies into the wheel:
    names as the linker notes them, with wildcards, for example `"libfftw3.so.*"`. Any other library that nothing
    promises is an error, and those of CUDA, torch and the driver always are."""
    guard: bool = False
    """Mode `nvcc`: whether the first launch on a GPU for which a library holds no code is an exception that names the
    device, what the library was compiled for, and what to do. The other modes always say so."""


@dataclass(frozen=True)
class AuditSettings:
    """`[tool.gpuwheel.audit]`: what `gpuwheel audit` asks when it is called in this folder."""

    select: tuple[str, ...] = ()
    """Rules that are asked: identifiers, starts of them (`torch`), or groups (`device-code`). Unset: all of them."""
    ignore: tuple[str, ...] = ()
    """Rules that are not asked."""
    fail_on: Literal["error", "warning", "note", "never"] = "error"
    """The least severity of a finding that makes the command fail."""
    baseline: str | None = None
    """A file of findings that are known, as `--write-baseline` writes it: they do not count."""
    severity: dict[str, Literal["error", "warning", "note"]] = field(default_factory=dict)
    """What findings of a rule, or of a group, count as."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Findings that do not count, each with its reason: `"RULE" = "why"`, or `"RULE:PATTERN" = "why"` for the files
    that match, where `*` stands for any text."""


@dataclass(frozen=True)
class TrialSettings:
    """`[tool.gpuwheel.test]`: the project's own tests, which `gpuwheel build --test full` runs on each finished wheel.

    They run in an empty folder with the `sources` in it, beside the installed wheel and without the project.
    """

    command: tuple[str, ...] = ("python", "-m", "pytest", "tests")
    """The program, and its arguments. `python` is that of the trial."""
    requires: tuple[Requirement, ...] = ()
    """What the tests need beside the wheel and pytest (PEP 508)."""
    sources: tuple[str, ...] = ("tests",)
    """Files and folders of the sdist that hold the tests; `pyproject.toml` goes with them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`[tool.gpuwheel]`. Keys without a default here take it from `data/defaults.toml`, frozen by `minimum-version`."""

    minimum_version: Version | None = None
    """Version of gpuwheel that this project was written for: defaults stay as they were in it, and an older gpuwheel
    refuses the project."""
    cuda: Toolkits
    """CUDA toolkit that compiles the device code. In mode `nvcc` a list makes one wheel for each, in other modes the
    first serves for all. Unset, mode `nvcc` takes `13.0`: the index has no older. `"last 2 majors"` and
    `"last 2 minors"` stand for the newest that gpuwheel compiles with."""
    driver: DriverVersion
    """Oldest NVIDIA driver the wheel runs on. Unset in mode `nvcc`: the oldest that the toolkit supports."""
    archs: tuple[ArchTarget, ...]
    """Compute capabilities to compile for; `+PTX` adds code that the driver compiles for newer GPUs."""
    torch: TorchRanges
    """Versions of torch the wheel runs on: a floor, or one minor (`==2.13.*`) for extensions with `abi = "exact"`, of
    which a list makes one wheel for each. `"last 3 minors"` stands for the newest that gpuwheel knows, `"supported"`
    for all whose stable ABI is kept; `gpuwheel plan` shows what they became. Written into the wheel's dependencies."""
    pythons: Pythons | None = None
    """Pythons to make wheels for, where an extension has `python = "version"`; elsewhere one wheel serves all of them.
    Unset or `"supported"`: those that `requires-python` admits and that torch has wheels for; `"last 4 minors"`: the
    newest of them."""
    machines: tuple[Machine, ...] | None = None
    """CPU architectures to make wheels for, where there is host code. Unset: the one that the C++ compiler is for."""
    only: CellName | None = None
    """Which wheel a build makes, where the project has several: the identifier that `gpuwheel plan` gives it. Unset:
    the first that this Python and this C++ compiler make. Meant for `-C gpuwheel.only=ID`."""
    local: LocalLabel | None = None
    """Local part of the wheel's version (PEP 440), which tells wheels apart that differ in torch or CUDA alone, for
    example `torch2.14.cu13.0`. For `-C gpuwheel.local=LABEL` or the environment: `gpuwheel plan` shows the label of
    each wheel, `gpuwheel build` gives it, and the version of an sdist has none."""
    dependencies: tuple[Requirement, ...] = ()
    """Further run-time dependencies (PEP 508); torch is added by gpuwheel."""
    nvmath: ReleaseFloor | None = None
    """Versions of nvmath-python that operators of the package use, as a floor. The package gets the extras `cu12` and
    `cu13`, which install it for one major of CUDA; `optional-dependencies` must be in `dynamic` of `[project]`."""
    extras: dict[ExtraName, Extra] = field(default_factory=dict)
    """Further extras of the package, for a project whose `optional-dependencies` gpuwheel writes. Those named `cu12`
    and `cu13` add to what `nvmath` makes."""
    kernels: dict[GroupName, Kernels] = field(default_factory=dict)
    """Kernel groups by name: device code, free of torch and Python headers, compiled once."""
    extensions: dict[ImportPath, Extension] = field(default_factory=dict)
    """Extensions by import path: one shared library each, which lands there. A project with `nvmath` may have none: its
    wheel then holds Python files alone."""
    sources: dict[Glob, SourceSettings] = field(default_factory=dict)
    """What is particular to some sources of extensions in mode `nvcc`, by glob; later tables add to earlier ones."""
    cmake: Glob | None = None
    """A `CMakeLists.txt` of the project's own, which finds the toolchain by `find_package(GpuWheel)` and adds each
    extension by `gpuwheel_add_embed()` or, in mode `nvcc`, `gpuwheel_add_extension()`. It names the `sources`."""
    wheel: WheelSettings = field(default_factory=WheelSettings)
    """What the finished file must be."""
    audit: AuditSettings = field(default_factory=AuditSettings)
    """What `gpuwheel audit` asks when it is called in this folder, whoever built the wheels. A build is held to every
    rule, whatever stands here."""
    test: TrialSettings = field(default_factory=TrialSettings)
    """How a finished wheel is tested."""
    locked: bool = False
    """Refuse to build with anything but what `pylock.gpuwheel.toml` names, which `gpuwheel lock` writes."""

    def tables_about(self, path: str) -> list[str]:
        """The tables of `sources` that cover a file of the project, in their order: "a [1].cu" is that file, too."""
        return [pattern for pattern in self.sources if pattern == path or fnmatchcase(path, pattern)]


@dataclass(frozen=True)
class ProjectFacts:
    """What gpuwheel needs to know of `[project]`, and where the project is."""

    root: Path
    name: str
    requires_python: str | None
    dependencies: tuple[str, ...] | None
    """Static `[project] dependencies`, or `None` where they are dynamic."""
    version: str | None = None
    """Static `[project] version`, or `None` where it is dynamic."""


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
    oldest_python: MinorVersion
    """That the project admits, and gpuwheel builds for."""
    notes: tuple[str, ...] = ()
    """Lines about variables that reach the compilers and CMake."""
    narrow: tuple[NarrowLine, ...] = ()
    """Lines of the sources that tie the wheel to one torch or one Python."""
    policies: Mapping[str, VersionPolicy] = field(default_factory=dict)
    """Keys of which a policy chose the versions: "torch" -> `last 3 minors`."""
    surveys: tuple[Survey, ...] = ()
    """What was read of the sources of each extension with `abi = "compat"`."""
