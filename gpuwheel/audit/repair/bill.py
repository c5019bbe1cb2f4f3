"""`--sbom`: what is known of a wheel of any origin, as CycloneDX 1.6 in `.dist-info/sboms` (PEP 770).

Its libraries by digest, what compiled them as far as they say it, their device code, whether they are copies of
libraries of the machine that built the wheel, and what their bytes prove to be in them (`proved`); no guesses.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from gpuwheel._files import sha256_of
from gpuwheel.audit.repair.proved import proofs
from gpuwheel.binary.elf import MACHINES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.audit.repair.workplace import Workplace
    from gpuwheel.binary.elf import ElfFile

__all__ = ["BILL", "write_bill"]

BILL = "sboms/gpuwheel-repair.cdx.json"
"""Where it goes, inside the `.dist-info` folder; that of a build is another file, and stays."""
_COPIED = re.compile(r"(?:.*/)?[^/]+\.libs/[^/]+-[0-9a-f]{8}\.so[^/]*")
"""As auditwheel names copies."""


def write_bill(place: Workplace, inspection: Inspection, epoch: int | None) -> None:
    """Write what is known of a wheel and its libraries, as they will be; nothing where that is there already."""
    name = place.source.name
    components = [_library(place, inspection, one) for one in inspection.libraries if one.machine in MACHINES]
    components += [one.component for one in proofs(inspection, place.dropped)]
    components += _toolkits(inspection, {str(one["bom-ref"]) for one in components})
    metadata: dict[str, Any] = {
        "component": {
            "type": "library",
            "bom-ref": "wheel",
            "name": canonicalize_name(name.distribution),
            "version": name.version,
        }
    }
    if epoch is not None:
        metadata["timestamp"] = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
        "dependencies": [{"ref": "wheel", "dependsOn": sorted(str(one["bom-ref"]) for one in components)}],
    }
    path = f"{place.source.dist_info}/{BILL}"
    data = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    if place.text(path) != data:
        place.write(path, data, "sbom", f"names {len(components)} components")


def _library(place: Workplace, inspection: Inspection, library: ElfFile) -> dict[str, Any]:
    images = dict.fromkeys(sorted(str(image) for image in _images(place, inspection, library.name)))
    facts = [
        *(("gpuwheel:compiler", text) for text in library.compilers),
        *(("gpuwheel:device-code", target) for target in images),
        *((("gpuwheel:copied-by", "auditwheel"),) if _COPIED.fullmatch(library.name) else ()),
        *((("gpuwheel:soname", library.soname),) if library.soname else ()),
    ]
    return {
        "type": "file",
        "bom-ref": f"file:{library.name}",
        "name": library.name,
        "hashes": [{"alg": "SHA-256", "content": _sha256(place, inspection, library.name)}],
        "properties": [{"name": name, "value": value} for name, value in facts],
    }


def _images(place: Workplace, inspection: Inspection, name: str) -> Iterator[object]:
    """Targets of the images that a file will hold."""
    gone = set(place.dropped)
    return (image for image in inspection.images_of.get(name, ()) if str(image) not in gone)


def _sha256(place: Workplace, inspection: Inspection, name: str) -> str:
    new = place.files.get(name)
    if new is None:
        digest = inspection.members[name].digest.removeprefix("sha256=")
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    assert not isinstance(new.content, bytes)  # noqa: S101 (for mypy: libraries are changed in files)
    with new.content.open("rb") as file:
        return sha256_of(file)


def _toolkits(inspection: Inspection, told: Collection[str]) -> Iterator[dict[str, Any]]:
    """Those that a manifest names, and the device code itself does not."""
    if isinstance(inspection.manifests, ValueError):
        return
    for version in sorted({str(manifest.toolkit) for manifest in inspection.manifests}):
        reference = f"cuda-toolkit@{version}"
        if any(one == reference or one.startswith(f"{reference}.") for one in told):
            continue
        yield {
            "type": "application",
            "bom-ref": reference,
            "name": "cuda-toolkit",
            "version": version,
            "description": "compiled the device code, as the kernel manifest says",
        }
