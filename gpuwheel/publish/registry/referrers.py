"""What refers to an image, such as its bill of materials, found by who has the image.

distribution-spec, "Pushing Manifests with Subject": a registry that keeps this itself says `OCI-Subject`; elsewhere the
client keeps an index under the tag `sha256-...` of the image ("Referrers Tag Schema").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuwheel._endings import reading
from gpuwheel.errors import NetworkError
from gpuwheel.publish.image.descriptors import INDEX, Descriptor, canonical_json, hex_of, parse_document
from gpuwheel.publish.registry.exchanges import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.publish.registry.exchanges import Answer, RegistryClient

__all__ = ["note_referrer"]

_OK, _CREATED = 200, 201


def note_referrer(client: RegistryClient, manifest: Descriptor, document: Mapping[str, Any], answer: Answer) -> int:
    """Have a manifest found by whoever looks for what refers to its subject.

    Args:
        client: of the repository.
        manifest: that was pushed.
        document: the same, read.
        answer: of the registry to that.

    Returns:
        Bytes that were sent for it.

    Raises:
        ImageError: the subject is no descriptor.
        NetworkError: the registry does not take it.
    """
    if not document.get("subject") or answer.headers.get("OCI-Subject"):
        return 0
    subject = Descriptor.from_json(document["subject"])
    url = client.url(f"manifests/sha256-{hex_of(subject.digest)}")
    held = client.ask(Request("GET", url, {"Accept": INDEX}, good=frozenset({_OK, 404}), follows=True))
    rows = _rows(held, client) if held.status == _OK else []
    row = {
        **Descriptor(manifest.media_type, manifest.digest, manifest.size).to_json(),
        "artifactType": str(document.get("artifactType") or (document.get("config") or {}).get("mediaType") or ""),
        **({"annotations": document["annotations"]} if document.get("annotations") else {}),
    }
    if any(one.get("digest") == manifest.digest for one in rows):
        return 0
    data = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*rows, row]})
    client.ask(
        Request("PUT", url, {"Content-Type": INDEX}, lambda: data, frozenset({_OK, _CREATED, 202}), is_slow=True)
    )
    return len(data)


def _rows(held: Answer, client: RegistryClient) -> list[dict[str, Any]]:
    """What refers to it already, by anybody."""
    subject = f"what {client.reference.name} says of referrers is damaged"
    with reading(subject, "an index of OCI", error=NetworkError, hint="remove the tag sha256-... of the image there"):
        return [dict(row) for row in parse_document(held.content, subject)["manifests"]]
