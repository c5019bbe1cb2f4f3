"""What went into a wheel and is not in its Requires-Dist, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json).

PEP 770: it lies in `.dist-info/sboms`. Written by hand: the reference library weighs more than gpuwheel, in every build
environment, and the tests validate this against its schema. No serial number and no time but SOURCE_DATE_EPOCH, so that
the same build gives the same bytes.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.model.pins import Origin, Pin
    from gpuwheel.model.toolchain import AnyToolchain

__all__ = ["SBOM_FILE", "toolchain_sbom", "with_lock", "with_origins", "with_sdist", "with_shaping"]

SBOM_FILE = "sboms/gpuwheel.cdx.json"
"""Where it goes, inside the `.dist-info` folder."""


def toolchain_sbom(
    toolchain: AnyToolchain,
    name: str,
    epoch: int | None = None,
    pins: Sequence[Pin] = (),
) -> bytes:
    """The bill of materials of a wheel: compilers and headers whose code is inside, and the host compiler.

    Args:
        toolchain: What compiled the wheel.
        name: The project, in any spelling.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970, if it is set.
        pins: Where the digests of the toolchain's files are known.
    """
    files = {pin.requirement: pin for pin in pins}
    components = [_pinned(text, files.get(text)) for text in toolchain.pins]
    if toolchain.torch is not None:
        torch = _component("torch", toolchain.torch.version)
        # No digest of a file of torch: the headers are cut out of one, and any of its wheels has the same.
        torch["description"] = "headers of the stable ABI, compiled in"
        torch["properties"] = [{"name": "gpuwheel:tree-sha256", "value": toolchain.torch.digest}]
        components.append(torch)
    metadata: dict[str, Any] = {
        "component": {"type": "library", "bom-ref": "wheel", "name": canonicalize_name(name)},
    }
    if toolchain.host is not None:
        compiler = {"type": "application", "name": "C++ compiler", "description": toolchain.host.identity}
        metadata["tools"] = {"components": [compiler]}
    if epoch is not None:
        metadata["timestamp"] = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # Of this document, not of CycloneDX: a wheel has one.
        "version": 1,
        "metadata": metadata,
        # Sorted, for the same bytes: the order of pins is that of a table.
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
        "dependencies": [
            {"ref": "wheel", "dependsOn": sorted(str(component["bom-ref"]) for component in components)},
        ],
    }
    return _bytes(document)


def with_lock(sbom: bytes, digest: str) -> bytes:
    """A bill of materials that also says that the build was held to the lock file with this sha256."""
    return _with_property(sbom, "gpuwheel:lock-sha256", digest)


def with_sdist(sbom: bytes, digest: str) -> bytes:
    """A bill of materials that also says from which sdist the wheel was built: the digest of its files."""
    return _with_property(sbom, "gpuwheel:sdist-tree-sha256", digest)


def with_shaping(
    sbom: bytes, cell: str, settings: Sequence[str], environment: Sequence[str], withheld: Sequence[str]
) -> bytes:
    """A bill of materials that also says which cell the wheel is, and what else the build was told (`config`)."""
    told = [("config-setting", settings), ("environment", environment), ("withheld", withheld)]
    sbom = _with_property(sbom, "gpuwheel:cell", cell)
    for name, values in told:
        for value in values:
            sbom = _with_property(sbom, f"gpuwheel:{name}", value)
    return sbom


def _with_property(sbom: bytes, name: str, value: str) -> bytes:
    document: dict[str, Any] = json.loads(sbom)
    properties = document["metadata"].setdefault("properties", [])
    properties.append({"name": name, "value": value})
    return _bytes(document)


def with_origins(sbom: bytes, origins: Iterable[Origin]) -> bytes:
    """A bill of materials that also names compiled code that was taken from a remote, and who signed it."""
    components = [
        {
            "type": "file",
            "bom-ref": f"gpuwheel-remote:{origin.level}/{origin.kind}/{origin.key}",
            "name": f"{origin.kind}/{origin.key}",
            "description": "compiled elsewhere: an entry of a remote of gpuwheel, by its key",
            "hashes": [{"alg": "SHA-256", "content": origin.sha256}],
            "properties": [
                {"name": "gpuwheel:level", "value": origin.level},
                {"name": "gpuwheel:signer", "value": origin.signer},
            ],
        }
        for origin in sorted(origins)
    ]
    if not components:
        return sbom
    document: dict[str, Any] = json.loads(sbom)
    document["components"] = sorted([*document["components"], *components], key=lambda one: str(one["bom-ref"]))
    document["dependencies"][0]["dependsOn"] = [str(one["bom-ref"]) for one in document["components"]]
    return _bytes(document)


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _component(name: str, version: str) -> dict[str, Any]:
    # The purl specification wants "+" and "!" of a version escaped.
    purl = f"pkg:pypi/{canonicalize_name(name)}@{version.replace('+', '%2B').replace('!', '%21')}"
    return {"type": "library", "bom-ref": purl, "name": canonicalize_name(name), "version": version, "purl": purl}


def _pinned(requirement: str, pin: Pin | None) -> dict[str, Any]:
    """A component from `name==version`, with the digests of its files where they are known."""
    parsed = Requirement(requirement)
    component = _component(parsed.name, next(iter(parsed.specifier)).version)
    if pin is not None:
        component["externalReferences"] = [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{pin.name}/{pin.version}/#files",
                "comment": file.filename,
                "hashes": [{"alg": "SHA-256", "content": file.sha256}],
            }
            # Every file of the pin: which of them served is a matter of the machine, and the bill would differ with
            # it.
            for file in sorted(pin.files, key=lambda file: file.filename)
        ]
    return component
