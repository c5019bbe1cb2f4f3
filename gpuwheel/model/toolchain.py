"""What the toolchain stage found, for the compile stage to use. Each part says where it was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.model.versions import MinorVersion

__all__ = [
    "AnyToolchain",
    "CudaLibrary",
    "CudaToolchain",
    "DeviceCompiler",
    "HostCompiler",
    "KernelsToolchain",
    "NvccToolchain",
    "PythonHeaders",
    "TileCompiler",
    "Toolchain",
    "TorchSdk",
]


@dataclass(frozen=True)
class DeviceCompiler:
    """NVRTC, nvFatbin and the CUDA headers of one toolkit, as exact pins."""

    cuda: MinorVersion
    pins: tuple[str, ...]
    """`name==version`, sorted: what it was taken from."""
    python_path: tuple[Path, ...]
    """`sys.path` entries of the worker process; they hold `cuda.bindings` and what it imports."""
    nvrtc: Path
    """Absolute path of `libnvrtc.so.12`."""
    nvfatbin: Path
    """Absolute path of `libnvfatbin.so.12`."""
    include_dirs: tuple[Path, ...]
    """CUDA runtime headers, then CCCL, then headers that few sources need, where these do."""
    digest: str
    """sha256 over the pins and header trees: two compilers with one digest produce the same images."""
    found_via: str
    environ: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Of the build; the worker process gets what of it reaches no image."""


@dataclass(frozen=True)
class TileCompiler:
    """cuda-tile and tileiras of one toolkit, as exact pins: what compiles cuTile kernels."""

    cuda: MinorVersion
    pins: tuple[str, ...]
    """`name==version`, sorted: what it was taken from."""
    python_path: Path
    """`sys.path` entry of the worker process; it holds `cuda.tile` and what that imports."""
    tileiras: Path
    """From Tile IR bytecode to a cubin."""
    fatbinary: Path
    """From cubins to a fatbin."""
    digest: str
    """sha256 over the pins: two compilers with one digest produce the same images."""
    found_via: str
    environ: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Of the build; the worker process gets what of it reaches no image."""


@dataclass(frozen=True)
class TorchSdk:
    """Headers of the torch stable ABI, and an empty `libtorch.so` to link against."""

    version: str
    include_dir: Path
    library: Path
    """Stub with the SONAME `libtorch.so` and no symbol."""
    digest: str
    """sha256 of the header tree, as in `data/torch.toml`."""
    found_via: str
    python_library: Path | None = None
    """Stub with the SONAME `libtorch_python.so`, beside the classic headers only."""


@dataclass(frozen=True)
class HostCompiler:
    """The user's C++ compiler."""

    path: Path
    identity: str
    """First line of `--version`."""
    target: str
    """`-dumpmachine`, for example "x86_64-linux-gnu"."""
    found_via: str
    arguments: tuple[str, ...] = ()
    """What the program is always started with: `-DVAL=7` of "g++ -DVAL=7"."""
    launcher: tuple[str, ...] = ()
    """What CMake starts it by: `ccache` of "ccache g++"."""
    script: Path | None = None
    """One of gpuwheel's that starts the program with its arguments, for tools that take no command."""

    @property
    def command(self) -> tuple[str, ...]:
        """How to start it."""
        return (str(self.path), *self.arguments)

    @property
    def one_program(self) -> Path:
        """How to start it for who takes a path alone."""
        return self.script or self.path

    @property
    def machine(self) -> str:
        """The CPU architecture it compiles for, for example "x86_64", "aarch64"."""
        # A target begins with the CPU ("aarch64-linux-gnu", GNU config.sub).
        return self.target.partition("-")[0]


@dataclass(frozen=True)
class LinkStubs:
    """Stand-ins for the C and C++ libraries of an older system, for the linker alone."""

    platform: str
    """Without the machine: "manylinux_2_28"."""
    machine: str
    glibc: MinorVersion
    """The newest that the result asks for."""
    folder: Path
    """For `-L`, before any other folder."""
    digest: str
    """sha256 of what the folder was made from."""
    found_via: str

    @property
    def link_options(self) -> tuple[str, ...]:
        """For a driver such as g++, ahead of other folders: find the stubs, and hide what static libraries bring."""
        # What comes out of static libraries (libstdc++.a) stays inside: else two extensions in one process would
        # share it.
        return (f"-L{self.folder}", "-Wl,--exclude-libs,ALL")


@dataclass(frozen=True)
class Toolchain:
    """Everything that compiles one cell."""

    device: DeviceCompiler
    torch: TorchSdk
    host: HostCompiler
    stubs: LinkStubs | None = None
    """What is linked against; `None`: the libraries of the machine that builds."""

    @property
    def pins(self) -> tuple[str, ...]:
        """`name==version` of what device code was compiled with."""
        return self.device.pins


@dataclass(frozen=True)
class KernelsToolchain:
    """Everything that compiles a cell without host code."""

    devices: tuple[DeviceCompiler, ...]
    """What compiles CUDA C++, one per toolkit."""
    tiles: tuple[TileCompiler, ...] = ()
    """What compiles cuTile kernels, one per toolkit."""
    torch: None = None
    host: None = None

    @property
    def pins(self) -> tuple[str, ...]:
        """`name==version` of what device code was compiled with."""
        both = [compiler.pins for compiler in self.devices] + [compiler.pins for compiler in self.tiles]
        return tuple(sorted({pin for pins in both for pin in pins}))


@dataclass(frozen=True)
class CudaLibrary:
    """A shared library of the CUDA toolkit to link: the library of a toolkit, or headers and a stub."""

    name: str
    """After `-l`: "cublasLt"."""
    soname: str
    """"libcublasLt.so.13"."""
    path: Path
    """What the linker reads."""
    include_dir: Path
    requirement: str | None
    """Who has it at run time (PEP 508); `None` where gpuwheel does not know."""
    installed: str = "nvidia/cu13/lib"
    """Where that puts it, from the folder that packages are installed in."""


@dataclass(frozen=True)
class CudaToolchain:
    """A CUDA toolkit with nvcc, in the layout that nvcc and CMake expect."""

    version: MinorVersion
    root: Path
    """Holds bin/nvcc, include/, lib64/ and nvvm/; what `CUDAToolkit_ROOT` names."""
    libraries: tuple[CudaLibrary, ...]
    """Those that were asked for."""
    pins: tuple[str, ...]
    """`name==version`, sorted: what it was taken from; empty for a toolkit of the machine."""
    digest: str
    """sha256 over the pins, or over what identifies a toolkit of the machine."""
    found_via: str
    machine: str
    """The CPU architecture that its libraries are for; its programs are for the machine that builds."""

    @property
    def nvcc(self) -> Path:
        """The compiler."""
        return self.root / "bin" / "nvcc"


@dataclass(frozen=True)
class PythonHeaders:
    """What compiles a Python module for the interpreter that runs the build."""

    include_dir: Path
    version: MinorVersion
    suffix: str
    """Of a module for this version alone: ".cpython-311-x86_64-linux-gnu.so"."""


@dataclass(frozen=True)
class NvccToolchain:
    """Everything that compiles a cell in mode `nvcc`."""

    cuda: CudaToolchain
    host: HostCompiler
    """Compiles C++ sources, and the host half of CUDA sources."""
    torch: TorchSdk | None
    """`None` where no extension uses torch."""
    python: PythonHeaders | None
    """`None` where no extension is a Python module."""
    stubs: LinkStubs | None = None
    """What is linked against; `None`: the libraries of the machine that builds."""

    @property
    def pins(self) -> tuple[str, ...]:
        """`name==version` of what device code was compiled with."""
        return self.cuda.pins


AnyToolchain: TypeAlias = Toolchain | KernelsToolchain | NvccToolchain
