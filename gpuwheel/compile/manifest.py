"""`_kernels.json`: what kernels a wheel has, for audits, docs and tests. Schema: `data/kernels.schema.json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gpuwheel._files import write_if_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gpuwheel.model.kernels import CompiledGroup
    from gpuwheel.model.libraries import NvccLibrary
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["MANIFEST", "group_entry", "library_entry", "manifests", "write_manifests"]

MANIFEST = "_kernels.json"

Entry = dict[str, Any]


def group_entry(group: CompiledGroup, toolkit: MinorVersion | None = None) -> Entry:
    """What a manifest says of a kernel group: costs as the cubins record them, without paths and times.

    Args:
        group: the kernel group.
        toolkit: what compiled it, where that is not what the manifest names.
    """
    return {
        **({"toolkit": str(toolkit)} if toolkit else {}),
        "archs": [arch.sm for arch in group.cubin_archs],
        "ptx": [arch.compute for arch in group.ptx_archs],
        "kernels": {
            name: {
                arch: {"bytes": cost.bytes, "registers": cost.registers, "shared": cost.shared, "local": cost.local}
                for arch, cost in costs.items()
            }
            for name, costs in group.kernels.items()
        },
    }


def library_entry(library: NvccLibrary) -> Entry:
    """What a manifest says of a library of mode `nvcc`. nvcc does not tell what its kernels cost."""
    return {
        "archs": [arch.sm for arch in sorted(library.cubins)],
        "ptx": [arch.compute for arch in sorted(library.ptx)],
        "kernels": {},
    }


def manifests(
    entries: Iterable[tuple[str, str, Entry]], *, toolkit: MinorVersion, driver_floor: DriverVersion
) -> dict[str, bytes]:
    """The manifest of each package, by the folder of the wheel that it lies in.

    Args:
        entries: package folder, name of a kernel group or library in it, and what is to be said of that.
        toolkit: what compiled them.
        driver_floor: oldest driver that the package promises.
    """
    groups: dict[str, dict[str, Entry]] = {}
    for package, name, entry in entries:
        groups.setdefault(package, {})[name] = entry
    head = {"schema": 1, "toolkit": str(toolkit), "driver_floor": str(driver_floor)}
    return {
        # Indented: reviewers and diffs read it, and a ZIP compresses blanks away.
        package: (json.dumps({**head, "groups": found}, indent=1, sort_keys=True) + "\n").encode()
        for package, found in sorted(groups.items())
    }


def write_manifests(contents: Mapping[str, bytes], out: Path) -> dict[str, Path]:
    """Write each manifest to a file of its own below `out`, atomically, unless that is what is there."""
    # Numbered folders: packages may contain each other, and CMake wants the files to have their final name.
    files = {package: out / str(index) / MANIFEST for index, package in enumerate(contents)}
    for package, file in files.items():
        write_if_changed(file, contents[package])
    return files
