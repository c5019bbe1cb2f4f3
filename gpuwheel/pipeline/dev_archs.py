"""What `gpuwheel dev` compiles for: the GPU that is there, in the words of the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.archs import Arch, ArchTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.config import LoadedConfig
    from gpuwheel.toolchain.probes.devices import Present

__all__ = ["Chosen", "chosen_settings"]

_ARCHS = "gpuwheel.archs"


@dataclass(frozen=True)
class Chosen:
    """Settings that narrow a build, and why."""

    settings: Mapping[str, str]
    """As `-C` takes them."""
    reason: str


def chosen_settings(config: LoadedConfig, present: Present) -> Chosen:
    """Settings by which the project is compiled for the devices alone, or where there are none, for the lowest arch.

    Architectures that somebody states for this build (`-C`, GPUWHEEL_ARCHS, TORCH_CUDA_ARCH_LIST) stand.
    """
    declared = config.settings.archs
    origin = config.origins.get("archs", "pyproject.toml")
    if origin != "pyproject.toml":
        return Chosen({}, f"archs {_shown(declared)} from {origin}")
    if present.archs:
        devices, reason = present.archs, f"the GPU that is there ({', '.join(present.names)})"
    else:
        devices = (min((target.arch for target in declared), key=_capability),)
        why = f"the driver cannot be used: {present.problem}" if present.problem else "no GPU is found"
        reason = f"{why}: the lowest of archs, unless --arch names another"
    settings = {_ARCHS: _setting(_narrowed(declared, devices) or [ArchTarget(device) for device in devices])}
    for name, group in config.settings.kernels.items():
        # A group whose own list says nothing for the device keeps that list: what it is compiled for may run there
        # all the same (PTX, an older minor).
        own = _narrowed(group.archs or (), devices)
        if own:
            settings[f"gpuwheel.kernels.{name}.archs"] = _setting(own)
    return Chosen(settings, reason)


def _narrowed(declared: Sequence[ArchTarget], devices: Sequence[Arch]) -> list[ArchTarget]:
    """What the project says for these very devices, code of their own included ("9.0a" for 9.0); no PTX.

    Empty unless it says something for each.
    """
    found = {
        device: [one.arch for one in declared if _capability(one.arch) == _capability(device)] for device in devices
    }
    if not all(found.values()):
        return []
    return [ArchTarget(arch) for archs in found.values() for arch in dict.fromkeys(archs)]


def _capability(arch: Arch) -> tuple[int, int]:
    return arch.major, arch.minor


def _setting(targets: Sequence[ArchTarget]) -> str:
    return ";".join(map(str, targets))


def _shown(targets: Sequence[ArchTarget]) -> str:
    return " ".join(map(str, targets))
