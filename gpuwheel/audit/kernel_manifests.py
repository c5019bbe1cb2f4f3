"""Kernel manifests in a wheel (`data/kernels.schema.json`): the device code that it declares."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._endings import DAMAGE, because, cut
from gpuwheel._limits import MANIFEST_FILE
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import KernelCost
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.wheel import Content

__all__ = ["MANIFEST", "TOOLKIT_FILE", "DeclaredCode", "KernelManifest", "read_manifest"]

MANIFEST = "_kernels.json"
"""Its name inside a package."""
TOOLKIT_FILE = re.compile(r"(?:.*/)?(?P<group>\w+)\.cu(?P<toolkit>\d+\.\d+)\.fatbin")
"""Images by a further CUDA toolkit, in a file of their own."""
_SCHEMA = 1


@dataclass(frozen=True)
class DeclaredCode:
    """What a manifest promises of a kernel group."""

    cubins: frozenset[Arch]
    ptx: frozenset[Arch]
    driver: DriverVersion
    """Oldest driver."""
    kernels: Mapping[str, Mapping[str, KernelCost]] = field(default_factory=dict)
    """C++ name -> "sm_80" -> cost; empty in mode `nvcc`."""


@dataclass(frozen=True)
class KernelManifest:
    """What one package declares."""

    folder: str
    """Of the package, as members of the wheel begin: "fused_ops"; empty at the top."""
    toolkit: MinorVersion
    driver: DriverVersion
    """Oldest driver."""
    groups: Mapping[str, DeclaredCode]
    """By the name of a kernel group, or in mode `nvcc` of a library."""


def read_manifest(member: Content) -> KernelManifest:
    """What a file named `_kernels.json` declares.

    Raises:
        ValueError: it is not a kernel manifest, or too large for one.
    """
    if member.size > MANIFEST_FILE.value:
        msg = f"{member.name}: {MANIFEST_FILE.passed(f'{member.size:,}')}"
        raise ValueError(msg)
    try:
        document = json.loads(member.data)
        driver = DriverVersion.parse(document["driver_floor"])
        manifest = KernelManifest(
            folder=member.name.rpartition("/")[0],
            toolkit=MinorVersion.parse(document["toolkit"]),
            driver=driver,
            groups={
                name: DeclaredCode(
                    cubins=frozenset(Arch.parse(arch) for arch in group["archs"]),
                    ptx=frozenset(Arch.parse(arch) for arch in group["ptx"]),
                    driver=driver,
                    kernels={
                        kernel: {arch: _cost(cost) for arch, cost in costs.items()}
                        for kernel, costs in group.get("kernels", {}).items()
                    },
                )
                for name, group in document["groups"].items()
            },
        )
    except DAMAGE as error:
        msg = f"{member.name}: {type(error).__name__}: {because(error)}"
        raise ValueError(msg) from error
    # After the rest was read: a later schema that this reader cannot take is refused as damaged, one that it can by
    # its number.
    if document.get("schema") != _SCHEMA:
        msg = f"{member.name}: schema {cut(document.get('schema'))}"
        raise ValueError(msg)
    return manifest


def _cost(row: Mapping[str, int]) -> KernelCost:
    return KernelCost(int(row["bytes"]), int(row["registers"]), int(row["shared"]), int(row["local"]))
