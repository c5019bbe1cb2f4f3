"""GPU architectures as compute capabilities (CUDA C++ Programming Guide, "Compute Capabilities")."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Arch", "ArchTarget", "machine_code"]

_TARGET = re.compile(r"(?P<major>\d{1,2})\.(?P<minor>\d)(?P<suffix>[af]?)(?P<ptx>\+PTX)?")
# The last digit is the minor: "120" is 12.0, as compilers write it.
_NUMBER = re.compile(r"(?P<major>\d{1,2})(?P<minor>\d)(?P<suffix>[af]?)")


@dataclass(frozen=True, order=True)
class Arch:
    """A compute capability, with the suffix of an arch-specific (`a`) or family-specific (`f`) target."""

    major: int
    minor: int
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> Arch:
        """From "9.0", "9.0a", "90a", "sm_90a" or "compute_90".

        Raises:
            ValueError: `text` is none of these.
        """
        bare = text.removeprefix("sm_").removeprefix("compute_")
        match = _TARGET.fullmatch(bare) or _NUMBER.fullmatch(bare)
        if match is None or match.groupdict().get("ptx"):
            msg = f"{text!r} is not a compute capability (expected for example '9.0' or '9.0a')"
            raise ValueError(msg)
        return cls(int(match["major"]), int(match["minor"]), match["suffix"])

    @property
    def number(self) -> str:
        """As compilers write it: "90a", "120"."""
        return f"{self.major}{self.minor}{self.suffix}"

    @property
    def sm(self) -> str:
        """The real architecture: "sm_90a"."""
        return f"sm_{self.number}"

    @property
    def compute(self) -> str:
        """The virtual architecture: "compute_90a"."""
        return f"compute_{self.number}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{self.suffix}"

    def cubin_runs_on(self, device: Arch) -> bool:
        """Whether a cubin for this target runs on `device` (a plain compute capability).

        Same major and an equal or higher minor; `a` on exactly that capability; `f` within the family, which is
        the same major at an equal or higher minor.
        """
        # CUDA C++ Programming Guide, "Feature Set Compiler Targets"; nvcc manual, "GPU Feature List".
        if self.suffix == "a":
            return (self.major, self.minor) == (device.major, device.minor)
        return self.major == device.major and self.minor <= device.minor

    def ptx_runs_on(self, device: Arch) -> bool:
        """Whether PTX for this target can be compiled by the driver for `device`."""
        # PTX of an arch- or family-specific target is no promise about newer architectures, unlike plain PTX.
        if self.suffix:
            return self.cubin_runs_on(device)
        return (self.major, self.minor) <= (device.major, device.minor)


@dataclass(frozen=True, order=True)
class ArchTarget:
    """One entry of `archs`: a cubin for `arch`, and PTX for it if `ptx`."""

    arch: Arch
    ptx: bool = False

    @classmethod
    def parse(cls, text: str) -> ArchTarget:
        """From "9.0", "9.0a" or "10.0+PTX" (the spelling of `TORCH_CUDA_ARCH_LIST`).

        Raises:
            ValueError: `text` is none of these.
        """
        match = _TARGET.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not an architecture (expected for example '9.0', '9.0a' or '10.0+PTX')"
            raise ValueError(msg)
        return cls(Arch(int(match["major"]), int(match["minor"]), match["suffix"]), ptx=match["ptx"] is not None)

    def __str__(self) -> str:
        return f"{self.arch}+PTX" if self.ptx else str(self.arch)


def machine_code(targets: Iterable[ArchTarget]) -> frozenset[Arch]:
    """Architectures that nvcc makes a cubin for, of one source.

    A plain one gives way to its family's: `12.0f` runs on the same GPUs as `12.0`, and nvcc refuses to make both ("The
    same GPU code generated for non family-specific and family-specific GPU arch", nvcc 13.0). Its PTX stays.
    """
    archs = frozenset(target.arch for target in targets)
    return frozenset(arch for arch in archs if arch.suffix or replace(arch, suffix="f") not in archs)
