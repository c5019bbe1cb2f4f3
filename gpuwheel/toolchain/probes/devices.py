"""The GPUs that are there, for builds that serve this machine alone."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.model.archs import Arch
from gpuwheel.toolchain.probes.driver import probe_driver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel._cache import Cache

__all__ = ["Present", "present_archs"]

_NOTE = "devices"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_CONTROL = Path("/dev/nvidiactl")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH", "LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Present:
    """What the driver says."""

    names: tuple[str, ...]
    archs: tuple[Arch, ...]
    """Of its devices, each once."""
    problem: str | None
    """Why a driver that is there cannot be used."""


def present_archs(environ: Mapping[str, str], cache: Cache) -> Present:
    """The GPUs that a process with this environment sees; what was found stands until the next boot of the machine.

    A driver takes 0.2 s to some seconds to say so, more than all else that a build without changes does.
    """
    state = _state(environ)
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(cache.note(_NOTE) or b"")
        if noted["state"] == state:
            return Present(tuple(noted["names"]), tuple(map(Arch.parse, noted["archs"])), None)
    driver = probe_driver(environ)
    found = Present(
        tuple(dict.fromkeys(device.name for device in driver.devices)),
        tuple(sorted({device.arch for device in driver.devices})),
        driver.problem,
    )
    # Only what was found is kept: a driver that did not answer may do so the next minute.
    if found.archs and state is not None:
        document = {"state": state, "names": found.names, "archs": list(map(str, found.archs))}
        cache.keep_note(_NOTE, json.dumps(document).encode())
    return found


def _state(environ: Mapping[str, str]) -> list[object] | None:
    """What changes with the devices: the boot, the driver's control file, what hides devices from a process."""
    try:
        boot, control = _BOOT.read_text(encoding="ascii").strip(), _CONTROL.stat()
    except OSError:
        return None
    return [boot, control.st_mtime_ns, control.st_ino, {name: environ[name] for name in _VARIABLES if name in environ}]
