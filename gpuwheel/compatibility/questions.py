"""Pure questions about toolkits, devices, drivers and torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode
from gpuwheel.model.versions import KnownVersions, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.compatibility.rows import Compression, CudaToolkit, Shim, Tables
    from gpuwheel.model.archs import Arch, ArchTarget
    from gpuwheel.model.versions import DriverVersion

__all__ = [
    "TorchFloor",
    "compression_for",
    "coverage",
    "driver_of_cuda",
    "known_versions",
    "nvcc_compression",
    "serves",
    "toolkits_for",
    "torch_floor",
]


@dataclass(frozen=True)
class TorchFloor:
    """The oldest torch that a library loads in."""

    version: MinorVersion
    shims: tuple[str, ...]
    """The imported shims that force it, sorted; empty where the oldest supported torch has all of them."""
    unknown: tuple[str, ...]
    """Imported names that no torch of the table has, sorted."""


def known_versions(tables: Tables) -> KnownVersions:
    """What a policy such as `last 3 minors` chooses from."""
    newest = {version.major: version for version in tables.cuda}  # oldest first: the last of each stays

    def brought(mode: Mode) -> tuple[MinorVersion, ...]:
        rows = tables.cuda.values()
        if mode is Mode.NVCC:
            having = [row.version for row in rows if row.nvcc]
            # nvcc of a major that no index has is a machine's own.
            having += [newest[major] for major in set(newest) - {version.major for version in having}]
        else:
            cutile = mode is Mode.KERNELS
            having = [row.version for row in rows if row.components or (cutile and row.cutile)]
        return tuple(sorted(having))

    return KnownVersions(
        brought={mode: brought(mode) for mode in Mode},
        torch=tuple(version for version in tables.torch if version >= tables.torch_floor),
        pythons={
            version: tuple(sorted(MinorVersion.parse(python) for python in row.pythons if not python.endswith("t")))
            for version, row in tables.torch.items()
        },
    )


def torch_floor(tables: Tables, symbols: Iterable[str]) -> TorchFloor:
    """The oldest torch with every shim in `symbols`, never below the floor of the stable ABI.

    Established by comparison with the loader for nine binaries of nine (floors 2.9 to 2.13).

    Args:
        tables: The shims by version.
        symbols: Names of undefined C symbols that libtorch must provide.
    """
    names = sorted(set(symbols))
    known: list[Shim] = [tables.shims[name] for name in names if name in tables.shims]
    version = max((shim.since for shim in known), default=tables.torch_floor)
    version = max(version, tables.torch_floor)
    forcing = tuple(shim.name for shim in known if shim.since == version and version > tables.torch_floor)
    return TorchFloor(version, forcing, tuple(name for name in names if name not in tables.shims))


def toolkits_for(cuda: Mapping[MinorVersion, CudaToolkit], arch: Arch) -> tuple[MinorVersion, ...]:
    """The toolkits that compile for `arch`, oldest first."""
    return tuple(version for version, toolkit in cuda.items() if arch in toolkit.archs)


def serves(targets: Iterable[ArchTarget], device: Arch) -> str | None:
    """What a driver takes for `device`: the nearest cubin ("sm_80"), else the nearest PTX ("compute_100"), else None.

    A driver prefers a cubin (CUDA C++ Programming Guide, "Binary Compatibility", "PTX Compatibility").
    """
    targets = tuple(targets)
    cubins = [target.arch for target in targets if target.arch.cubin_runs_on(device)]
    if cubins:
        # Of several cubins that run there, the driver takes the nearest below the device.
        return max(cubins).sm
    ptx = [target.arch for target in targets if target.ptx and target.arch.ptx_runs_on(device)]
    return max(ptx).compute if ptx else None


def coverage(tables: Tables, targets: Iterable[ArchTarget]) -> dict[Arch, str | None]:
    """Every known device at or above the lowest of `targets` -> what serves it; lowest device first."""
    targets = tuple(targets)
    lowest = min((target.arch.major, target.arch.minor) for target in targets)
    return {device: serves(targets, device) for device in tables.devices if (device.major, device.minor) >= lowest}


def compression_for(tables: Tables, driver: DriverVersion) -> Compression:
    """The best compression that every driver from `driver` on can read.

    Raises:
        ValueError: `driver` is older than any row.
    """
    readable = [row for row in tables.compression if row.driver <= driver]
    if not readable:
        msg = f"driver {driver} is too old (expected {tables.compression[0].driver} or newer)"
        raise ValueError(msg)
    return readable[-1]


def driver_of_cuda(tables: Tables, cuda: MinorVersion) -> DriverVersion | None:
    """The driver behind "CUDA Version" of `nvidia-smi`: the first that runs it; `None`: before all known ones."""
    known = [row.driver for version, row in tables.cuda.items() if row.driver is not None and version <= cuda]
    return max(known, default=None)


def nvcc_compression(tables: Tables, driver: DriverVersion, cuda: MinorVersion) -> tuple[str, ...]:
    """Options of nvcc of `cuda` for the best compression that every driver from `driver` on can read."""
    rows = [row for row in tables.compression if row.driver <= driver and row.nvcc_since <= cuda]
    return rows[-1].nvcc_options if rows else ()
