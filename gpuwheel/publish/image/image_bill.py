"""What is in an image, as CycloneDX 1.6: a file in its top layer, and an artifact beside it that refers to it.

No serial number and no time but that of the image: the same image gives the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gpuwheel.publish.image.descriptors import MANIFEST
from gpuwheel.publish.image.image_config import moment
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.image.image_plan import ImagePlan, ImageWheel
    from gpuwheel.publish.image.layout import Layout

__all__ = ["BILL_TYPE", "bill_path", "image_bill", "put_bill"]

BILL_TYPE = "application/vnd.cyclonedx+json"
_EMPTY = "application/vnd.oci.empty.v1+json"


def bill_path(plan: ImagePlan) -> str:
    """Where it is in the image, without the leading slash."""
    return f"{plan.prefix.strip('/')}/share/sbom/image.cdx.json"


def image_bill(plan: ImagePlan, requires: Mapping[str, set[str]]) -> bytes:
    """The bill of materials of an image: its wheels, with their digests, and its base.

    Args:
        plan: the image.
        requires: distribution -> distributions.
    """
    refs = {wheel.name: _purl(wheel) for wheel in plan.wheels}
    components = [_component(wheel) for wheel in plan.wheels]
    if plan.base is not None:
        components.append({"type": "container", "bom-ref": "base", "name": "base", "version": plan.base.digest})
    title = plan.annotations.get("org.opencontainers.image.title", "image")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment(plan.created),
            "component": {"type": "container", "bom-ref": "image", "name": title},
        },
        "components": components,
        "dependencies": [
            {"ref": "image", "dependsOn": sorted(str(one["bom-ref"]) for one in components)},
            *(
                {"ref": refs[name], "dependsOn": sorted(refs[one] for one in requires.get(name, ()) if one in refs)}
                for name in sorted(refs)
            ),
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _purl(wheel: ImageWheel) -> str:
    # The purl specification wants "+" and "!" of a version escaped.
    version = str(wheel.version).replace("+", "%2B").replace("!", "%21")
    return f"pkg:pypi/{wheel.name}@{version}"


def _component(wheel: ImageWheel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(wheel),
        "name": wheel.name,
        "version": str(wheel.version),
        "purl": _purl(wheel),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
    }
    licence = next(iter(field_values(wheel.metadata, "License-Expression")), "")
    if licence:
        found["licenses"] = [{"expression": licence}]
    return found


def put_bill(layout: Layout, bill: bytes, image: Descriptor) -> Descriptor:
    """Store a bill of materials as an artifact whose subject is an image (image-spec 1.1, `manifest.md`).

    Raises:
        OSError: it cannot be written.
    """
    empty = layout.put(b"{}", _EMPTY)
    content = layout.put(bill, BILL_TYPE, annotations={"org.opencontainers.image.title": "image.cdx.json"})
    subject = {"mediaType": image.media_type, "digest": image.digest, "size": image.size}
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BILL_TYPE,
        "config": empty.to_json(),
        "layers": [content.to_json()],
        "subject": subject,
    }
    return layout.put_json(document, MANIFEST, artifact_type=BILL_TYPE)
