"""The NVIDIA driver of this machine and its devices; most building machines have neither."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.toolchain.probes import driver_worker

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Device", "Driver", "probe_driver"]

_PATIENCE = 20.0  # seconds; eight GPUs without the persistence daemon take several


@dataclass(frozen=True)
class Device:
    """A GPU, as a process sees it (CUDA_VISIBLE_DEVICES counts)."""

    name: str
    arch: Arch
    memory: int
    """Bytes."""


@dataclass(frozen=True)
class Driver:
    """What could be learned of the driver."""

    library: str | None
    """Path of `libcuda.so.1`; `None`: there is none."""
    release: DriverVersion | None
    """Of that library, else of the kernel module; `None` where neither says."""
    cuda: MinorVersion | None
    """The newest CUDA it runs."""
    devices: tuple[Device, ...]
    problem: str | None
    """Why a process cannot use it; `None` also where there is no driver."""


def probe_driver(environ: Mapping[str, str]) -> Driver:
    """Ask the driver, in a process of its own."""
    try:
        # Isolated and without site-packages: a third of the time, and nothing of this process reaches the worker.
        done = run([sys.executable, "-I", "-S", str(driver_worker.__file__)], env=environ, timeout=_PATIENCE)
        found = json.loads(done.stdout)
    except TimeoutError:
        return Driver(None, None, None, (), f"it does not answer (waited {_PATIENCE:.0f} s)")
    except (ProcessFailedError, ValueError) as error:
        return Driver(None, None, None, (), f"it cannot be asked ({error})")
    release = found["release"] or found["kernel"]
    return Driver(
        library=found["library"],
        release=DriverVersion.parse(release) if release else None,
        cuda=_cuda_version(found["cuda"]),
        devices=tuple(
            Device(device["name"], Arch.parse(device["arch"]), device["memory"]) for device in found["devices"]
        ),
        problem=found["problem"],
    )


def _cuda_version(number: int | None) -> MinorVersion | None:
    """The version behind a number: 12090, as `cuDriverGetVersion` and `CUDA_VERSION` write it, is 12.9."""
    return None if number is None else MinorVersion(number // 1000, number % 1000 // 10)
