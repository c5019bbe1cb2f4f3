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
