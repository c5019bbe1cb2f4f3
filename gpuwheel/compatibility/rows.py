"""The rows of the tables in `gpuwheel/data`, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.model.archs import Arch
    from gpuwheel.model.pins import HeadersPin, LibraryPin, NvccPin, Pin
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["Compression", "CubinFormat", "CudaToolkit", "PlatformPolicy", "Shim", "Tables", "TorchBuild"]


@dataclass(frozen=True)
class CudaToolkit:
    """One CUDA toolkit: a row of `cuda.toml`, with its pins from `pins.toml`."""

    version: MinorVersion
    archs: tuple[Arch, ...]
    """Every target it compiles for: plain, arch-specific (`a`) and family-specific (`f`), sorted."""
    dropped: tuple[Arch, ...]
    """Plain targets of the toolkit before it that this one does not know."""
    ptx_isa: MinorVersion
    """Newest PTX ISA that it writes; a driver must be of this toolkit's version or newer to load it."""
    driver: DriverVersion | None
    """Linux driver of its general availability; `None` where it is not known."""
    driver_floor: DriverVersion
    """Oldest Linux driver that runs its cubins (minor-version compatibility)."""
    gcc_max: int
    """Newest major of gcc that nvcc takes."""
    clang_min: str
    clang_max: int
    nvrtc_deprecated: tuple[Arch, ...] | None
    """Targets for which its NVRTC prints a deprecation warning; `None` where that is not measured."""
    has_nvcc: bool
    """Whether the package index has its nvcc."""
    requirement: str
    """The metapackage, for example "cuda-toolkit==12.9.2.0"."""
    components: tuple[Pin, ...]
    """What its device compiler is made of; empty where gpuwheel does not pin this toolkit."""
    headers: tuple[HeadersPin, ...]
    """Headers beside the device compiler that few sources need."""
    nvcc: tuple[NvccPin, ...]
    """What its nvcc is made of, for extensions in mode `nvcc`; empty where gpuwheel does not pin that."""
    cutile: tuple[Pin, ...]
    """What compiles cuTile kernels; empty where gpuwheel does not pin that."""
    cutile_archs: tuple[Arch, ...]
    """Targets that cuTile compiles for, by what its code runs on: from 9.0 on it is arch-specific (`a`)."""
    libraries: tuple[LibraryPin, ...]
    """Libraries that extensions in mode `nvcc` may link, beside the runtime."""
    sources: Mapping[str, str]
    """Key of the table -> how the value was established."""

    def device_pins(self, *, cutile: bool) -> tuple[Pin, ...]:
        """What compiles CUDA C++, or `cutile` kernels, where no nvcc does; empty where gpuwheel does not pin that."""
        return self.cutile if cutile else self.components


@dataclass(frozen=True)
class Compression:
    """One way for nvFatbin to compress, and the driver that can read it."""

    driver: DriverVersion
    options: tuple[str, ...]
    codec: str
    nvcc_options: tuple[str, ...]
    """What nvcc takes for the same."""
    nvcc_since: MinorVersion
    """First toolkit whose nvcc does."""


@dataclass(frozen=True)
class CubinFormat:
    """A format of cubins, and the first toolkit that writes it for older GPUs."""

    version: MinorVersion
    below: Arch
    """For GPUs from this on, older toolkits write it too."""
    toolkit: MinorVersion
    """A row of `cuda.toml`."""


@dataclass(frozen=True)
class TorchBuild:
    """The newest release of one torch minor, as the package index has it: a row of `torch.toml`."""

    version: MinorVersion
    release: str
    cuda: MinorVersion
    """Toolkit it was built with; a row of `cuda.toml`."""
    pythons: tuple[str, ...]
    """Pythons with a Linux wheel, for example "3.14" and "3.14t" (free-threaded)."""
    requires_python: str
    platforms: tuple[str, ...]
    """Platform tags of its Linux wheels, without the machine."""
    archs: tuple[Arch, ...]
    dropped: tuple[Arch, ...]
    """Targets of the minor before it that this one lacks."""
    cxx_standard: int
    """C++ dialect that its classic headers need; the stable ones need 17."""
    cxx11_abi: bool
    stable_abi: str
    """"none", "prototype", "base" or "full" (all that a fused operator needs)."""
    requires: tuple[str, ...]
    """What the Linux x86_64 wheel asks for from NVIDIA (PEP 508)."""
    headers: Mapping[str, HeadersPin]
    """Its classic headers by CPU architecture, for extensions that are built for this minor alone, where pinned."""
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Shim:
    """One C symbol of torch's stable ABI."""

    name: str
    since: MinorVersion
    """First torch that has it; the oldest row of the table means "or older"."""
    library: str
    """"libtorch_cpu.so", or "libtorch_cuda.so" (absent from CPU builds of torch)."""


@dataclass(frozen=True)
class PlatformPolicy:
    """What a Linux platform tag (PEP 600) promises about the machine that installs the wheel."""

    name: str
    """Without the machine: "manylinux_2_28"."""
    machine: str
    """"x86_64" or "aarch64"."""
    aliases: tuple[str, ...]
    """Older names of the same policy: "manylinux2014"."""
    newest: Mapping[str, tuple[int, ...]]
    """Symbol namespace ("GLIBC", "GLIBCXX", ...) -> newest version present."""
    also: frozenset[str]
    """Symbol versions without a number: "CXXABI_FLOAT128"."""
    libraries: frozenset[str]
    """SONAMEs present on every such machine."""

    @property
    def tag(self) -> str:
        """As in a wheel's name: "manylinux_2_28_x86_64"."""
        return f"{self.name}_{self.machine}"


@dataclass(frozen=True)
class Tables:
    """All tables."""

    cuda: Mapping[MinorVersion, CudaToolkit]
    """Oldest first."""
    devices: Mapping[Arch, str]
    """Compute capabilities that exist -> the architecture's name; lowest first."""
    renamed: Mapping[Arch, Arch]
    """Targets that a later toolkit knows by another number."""
    rules: Mapping[str, str]
    """Rules of compatibility in words, each with its source: for people and for the generated reference."""
    compression: tuple[Compression, ...]
    """Oldest driver first."""
    cubins: tuple[CubinFormat, ...]
    """Formats by which one tells the toolkit that wrote a cubin."""
    torch: Mapping[MinorVersion, TorchBuild]
    """Oldest first."""
    torch_floor: MinorVersion
    """Oldest torch whose stable ABI is kept."""
    torch_sdk: HeadersPin
    shims: Mapping[str, Shim]
    """By name."""
    platforms: tuple[PlatformPolicy, ...]
    """Oldest first, x86_64 before aarch64."""
