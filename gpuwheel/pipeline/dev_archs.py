"""What `gpuwheel dev` compiles for: the GPU that is there, in the words of the project, or the pretended one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.archs import Arch, ArchTarget
from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.config import LoadedConfig
    from gpuwheel.config.model import Settings
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
    """Settings by which the project is compiled for the devices alone, or where there are none, for a pretended one.

    Architectures that somebody states for this build (`-C`, GPUWHEEL_ARCHS, TORCH_CUDA_ARCH_LIST) stand.
    """
    declared = config.settings.archs
    origin = config.origins.get("archs", "pyproject.toml")
    if origin != "pyproject.toml":
        return Chosen({}, f"archs {_shown(declared)} from {origin}")
    if not present.archs:
        why = f"the driver cannot be used: {present.problem}" if present.problem else "no GPU is found"
        reason = f"{why}: PTX for a pretended one (pytest --fake-gpu), unless --arch names another"
        return Chosen(dict(_executable(config.settings)), reason)
    settings = {_ARCHS: _setting(_narrowed(declared, present.archs) or [ArchTarget(one) for one in present.archs])}
    for name, group in config.settings.kernels.items():
        # A group whose own list says nothing for the device keeps that list: what it is compiled for may run there
        # all the same (PTX, an older minor).
        own = _narrowed(group.archs or (), present.archs)
        if own:
            settings[f"gpuwheel.kernels.{name}.archs"] = _setting(own)
    return Chosen(settings, f"the GPU that is there ({', '.join(present.names)})")


def _executable(settings: Settings) -> Iterator[tuple[str, str]]:
    """PTX, with the lines of the sources, which the pretend GPU names in its reports."""
    yield _ARCHS, f"{_executed(settings.archs)}+PTX"
    for name, group in settings.kernels.items():
        archs = f"gpuwheel.kernels.{name}.archs"
        if group.uses_cutile:  # which has machine code alone
            yield archs, str(_executed(group.archs or settings.archs))
            continue
        if group.archs:
            yield archs, f"{_executed(group.archs)}+PTX"
        yield f"gpuwheel.kernels.{name}.lineinfo", "true"
    for name, extension in settings.extensions.items():
        if extension.mode is Mode.NVCC:
            yield f"gpuwheel.extensions.{name}.nvcc-flags", ";".join((*extension.nvcc_flags, "-lineinfo"))


def _executed(declared: Sequence[ArchTarget]) -> Arch:
    """The newest whose PTX is in a wheel, which is what is executed of that, or else the lowest."""
    with_ptx = [target.arch for target in declared if target.ptx]
    return max(with_ptx, key=_capability) if with_ptx else min((target.arch for target in declared), key=_capability)


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
