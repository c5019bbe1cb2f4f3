"""What a wheel promises of its libraries, and what a build set out to make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.model.choices import TorchAbi

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gpuwheel.model.versions import MinorVersion

__all__ = ["Claims", "Expected"]


@dataclass(frozen=True)
class Claims:
    """What the wheel says of its libraries: they must not ask for more. By default it is for every Python."""

    torch_floor: MinorVersion
    """Oldest torch that the wheel promises to run with."""
    torch: TorchAbi = TorchAbi.STABLE
    python: bool = False
    """Whether the tag names Pythons, so that their symbols may be used."""
    provided: frozenset[str] = frozenset()
    """SONAMEs that packages of Requires-Dist have, other than torch."""
    torch_minors: tuple[MinorVersion, ...] | None = field(default=None, compare=False)
    """The torches that METADATA admits, in order; `None`: all from the floor on. Empty: it does not name torch."""
    torch_bounded: bool = field(default=True, compare=False)
    """Whether METADATA keeps old torches out."""

    def admits(self, known: Collection[MinorVersion]) -> tuple[MinorVersion, ...]:
        """Those of some torches that the wheel has to load in, in order."""
        if self.torch_minors is not None:
            return tuple(minor for minor in self.torch_minors if minor in known)
        if self.torch is TorchAbi.EXACT:
            return (self.torch_floor,) if self.torch_floor in known else ()
        return tuple(sorted(minor for minor in known if minor >= self.torch_floor))


@dataclass(frozen=True)
class Expected:
    """What a build set out to make."""

    claims: Claims
    """What the wheel will say."""
    with_kernels: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Members that must hold device code, "fused_ops/_C.so" -> its kernel groups, where they have names."""
    build_folders: Collection[str] = ()
    """Absolute folders that must not be named inside a library."""
    platform: str | None = None
    """The platform tag the project asks for, if any."""
