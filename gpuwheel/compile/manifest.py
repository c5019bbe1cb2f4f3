"""`_kernels.json`: what kernels a wheel has, for audits, docs and tests. Schema: `data/kernels.schema.json`."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from gpuwheel._files import write_if_changed
from gpuwheel.model.kernels import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gpuwheel.model.kernels import CompiledGroup
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["build_manifest", "manifest_bytes", "write_manifest"]


def build_manifest(
    groups: Iterable[CompiledGroup],
    *,
    toolkit: MinorVersion,
    driver_floor: DriverVersion,
    further: Mapping[str, MinorVersion] = MappingProxyType({}),
) -> Manifest:
    """The manifest of one package: costs as the cubins record them, without paths and times.

    Args:
        groups: the kernel groups.
        toolkit: what compiled them.
        driver_floor: oldest driver that the package promises.
        further: groups that `toolkit` does not compile -> what compiled them.
    """
    content = {
        group.name: {
            **({"toolkit": str(further[group.name])} if group.name in further else {}),
            "archs": [arch.sm for arch in group.cubin_archs],
            "ptx": [arch.compute for arch in group.ptx_archs],
            "kernels": {
                name: {
                    arch: {
                        "bytes": cost.bytes,
                        "registers": cost.registers,
                        "shared": cost.shared,
                        "local": cost.local,
                    }
                    for arch, cost in costs.items()
                }
                for name, costs in group.kernels.items()
            },
        }
        for group in groups
    }
    return Manifest(toolkit=str(toolkit), driver_floor=str(driver_floor), groups=content)


def write_manifest(manifest: Manifest, path: Path) -> Path:
    """Write `manifest` to `path`, atomically, unless that is what is there."""
    write_if_changed(path, manifest_bytes(manifest))
    return path


def manifest_bytes(manifest: Manifest) -> bytes:
    """The text of the file."""
    return (json.dumps(manifest.as_json(), indent=1, sort_keys=True) + "\n").encode()
