"""What points to content by its digest: descriptors, platforms and media types of the OCI image specification 1.1.

https://github.com/opencontainers/image-spec, `descriptor.md`, `media-types.md`, `annotations.md`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import cut, reading
from gpuwheel._limits import OCI_DOCUMENT, OCI_ENTRIES
from gpuwheel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CONFIG",
    "DOCKER_INDEX",
    "DOCKER_MANIFEST",
    "INDEX",
    "INDEXES",
    "MANIFEST",
    "MANIFESTS",
    "REF_NAME",
    "Descriptor",
    "ImagePlatform",
    "canonical_json",
    "descriptors_of",
    "hex_of",
    "parse_document",
]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({INDEX, DOCKER_INDEX})
REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation of a tag, in the index of a layout."""

_DIGEST = re.compile(r"sha256:(?P<hex>[0-9a-f]{64})")
_HINT = "pull or build the image again"


def hex_of(digest: str) -> str:
    """The hexadecimal part of a digest, which is safe as a file name.

    Raises:
        ImageError: it is none, or of another algorithm than SHA-256.
    """
    match = _DIGEST.fullmatch(digest)
    if match is None:
        msg = f"{cut(repr(digest))} is not a digest (expected sha256: and 64 hexadecimal digits)"
        raise ImageError(msg, hint=_HINT)
    return match["hex"]


@dataclass(frozen=True, order=True)
class ImagePlatform:
    """What a manifest runs on, in Go's words."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""
    """For example "v8" of arm64."""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def to_json(self) -> dict[str, str]:
        """As descriptors hold it."""
        variant = {"variant": self.variant} if self.variant else {}
        return {"architecture": self.architecture, "os": self.os, **variant}


@dataclass(frozen=True)
class Descriptor:
    """A blob: a manifest, an index, a configuration, a layer, or whatever else has a digest."""

    media_type: str
    digest: str
    """`sha256:...`."""
    size: int
    """Bytes."""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: ImagePlatform | None = None
    artifact_type: str = ""
    source: str | None = field(default=None, compare=False)
    """`REGISTRY/REPOSITORY` that has it, and what it refers to, where this layout need not; never written down."""

    @property
    def tag(self) -> str | None:
        """Its name in the index of a layout, if it has one."""
        return self.annotations.get(REF_NAME)

    def to_json(self) -> dict[str, Any]:
        """As manifests and indexes hold it."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        if self.platform is not None:
            found["platform"] = self.platform.to_json()
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        return found

    @classmethod
    def from_json(cls, data: Any) -> Descriptor:  # noqa: ANN401 (from anywhere)
        """From a document that may come from anywhere.

        Raises:
            ImageError: it is none.
        """
        with reading(
            "a descriptor of an image is damaged", "the OCI image specification", error=ImageError, hint=_HINT
        ):
            size, platform = data["size"], data.get("platform")
            if type(size) is not int or size < 0:
                msg = f"size {cut(size)}"
                raise ValueError(msg)
            hex_of(_text(data["digest"]))
            return cls(
                _text(data["mediaType"]),
                data["digest"],
                size,
                {_text(key): _text(value) for key, value in (data.get("annotations") or {}).items()},
                None if not platform else _platform_of(platform),
                _text(data.get("artifactType", "")),
            )


def _platform_of(data: Any) -> ImagePlatform:  # noqa: ANN401 (from anywhere)
    return ImagePlatform(_text(data["os"]), _text(data["architecture"]), _text(data.get("variant", "")))


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{cut(value)} is no text"
        raise TypeError(msg)
    return value


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The one spelling in which documents are written here: their digest depends on what they say alone."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def parse_document(data: bytes, subject: str) -> dict[str, Any]:
    """A JSON object from outside.

    Raises:
        ImageError: it is none, or too large; `subject` names it.
    """
    with reading(f"{subject} is damaged", "a JSON object", error=ImageError, hint=_HINT):
        if len(data) > OCI_DOCUMENT.value:
            raise ValueError(OCI_DOCUMENT.passed(f"{len(data):,} bytes"))
        document = json.loads(data)
        if not isinstance(document, dict):
            msg = f"a {type(document).__name__}"
            raise TypeError(msg)
        return document


def descriptors_of(document: Mapping[str, Any], key: str, subject: str) -> tuple[Descriptor, ...]:
    """The descriptors in a list of a manifest ("layers") or an index ("manifests").

    Raises:
        ImageError: it is no such list, or too long; `subject` names the document.
    """
    found = document.get(key)
    if not isinstance(found, list) or len(found) > OCI_ENTRIES.value:
        count = f"{len(found):,}" if isinstance(found, list) else "no list"
        msg = f"{subject} has no readable list of {key} ({OCI_ENTRIES.passed(count)})"
        raise ImageError(msg, hint=_HINT)
    return tuple(Descriptor.from_json(one) for one in found)
