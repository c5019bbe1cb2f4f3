"""What the toolchain stage found, for the compile stage to use. Each part says where it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.versions import MinorVersion

__all__ = ["DeviceCompiler", "HostCompiler", "Toolchain", "TorchSdk"]


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


@dataclass(frozen=True)
class HostCompiler:
    """The user's C++ compiler."""

    path: Path
    identity: str
    """First line of `--version`."""
    target: str
    """`-dumpmachine`, for example "x86_64-linux-gnu"."""
    found_via: str


@dataclass(frozen=True)
class Toolchain:
    """Everything that compiles one cell."""

    device: DeviceCompiler
    torch: TorchSdk
    host: HostCompiler
