"""An image as one file that `docker load` and `podman load` read: `docker save`'s format, with layers unpacked.

https://github.com/moby/docker-image-spec, "Combined Image JSON + Filesystem Changeset Format". Docker reads the layout
of OCI from such a file since version 25 alone; this one, every docker.
"""

from __future__ import annotations

import hashlib
import tarfile
from typing import TYPE_CHECKING, Any

from gpuwheel._files import atomic_file
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.compression import unpacked
from gpuwheel.publish.image.contents.layer_tar import FILE_TIME
from gpuwheel.publish.image.descriptors import (
    MANIFESTS,
    Descriptor,
    canonical_json,
    descriptors_of,
    hex_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel._files import HashedFile
    from gpuwheel.publish.image.layout import Layout

__all__ = ["write_docker_archive"]

_BLOCK = tarfile.BLOCKSIZE


def write_docker_archive(layout: Layout, image: Descriptor, path: Path, name: str | None) -> None:
    """Write an image of a layout into a file.

    Args:
        layout: has all its layers.
        image: of the manifest; an index has no place in such a file.
        path: of the file.
        name: `REPOSITORY:TAG` that it gets where it is loaded; `None`: none.

    Raises:
        ImageError: it is an index, or a layer is not here or damaged.
        OSError: the file cannot be written; nothing is left behind.
    """
    if image.media_type not in MANIFESTS:
        msg = "images of several platforms do not go into a docker-archive (found an index, expected one image)"
        raise ImageError(msg, hint="name one platform: --platform linux/amd64; or choose another output: -o oci:DIR")
    manifest = layout.read_json(image)
    config = layout.read(Descriptor.from_json(manifest.get("config")))
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    diff_ids = layout.read_json(Descriptor.from_json(manifest.get("config")))["rootfs"]["diff_ids"]
    layers = descriptors_of(manifest, "layers", image.digest)
    names = [f"{hex_of(diff_id)}.tar" for diff_id in diff_ids]
    listed: list[dict[str, Any]] = [{"Config": config_name, "RepoTags": [name] if name else None, "Layers": names}]
    with atomic_file(path) as out:
        _member(out, config_name, config)
        for file, layer, diff_id in dict(zip(names, zip(names, layers, diff_ids, strict=True), strict=True)).values():
            _layer(out, layout, file, layer, diff_id)
        _member(out, "manifest.json", _json_list(listed))
        out.write(bytes(2 * _BLOCK))


def _json_list(rows: list[dict[str, Any]]) -> bytes:
    """A list in the spelling of `canonical_json`."""
    return b"[" + b",".join(canonical_json(row) for row in rows) + b"]"


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, FILE_TIME
    return info.tobuf(tarfile.PAX_FORMAT)


def _member(out: HashedFile, name: str, data: bytes) -> None:
    out.write(_header(name, len(data)) + data + bytes(-len(data) % _BLOCK))


def _layer(out: HashedFile, layout: Layout, name: str, layer: Descriptor, diff_id: str) -> None:
    # Twice: the size stands ahead of the bytes.
    digest, size = hashlib.sha256(), 0
    for block in _unpacked(layout, layer):
        digest.update(block)
        size += len(block)
    if f"sha256:{digest.hexdigest()}" != diff_id:
        msg = f"the layer {layer.digest} unpacks to other content than the image says (expected {diff_id})"
        raise ImageError(msg, hint="pull or build the image again")
    out.write(_header(name, size))
    for block in _unpacked(layout, layer):
        out.write(block)
    out.write(bytes(-size % _BLOCK))


def _unpacked(layout: Layout, layer: Descriptor) -> Iterator[bytes]:
    if not layout.has(layer):
        msg = f"{layout.folder} lacks the layer {layer.digest}"
        raise ImageError(msg, hint="pull or build the image again")
    with layout.blob_path(layer.digest).open("rb") as file:
        yield from unpacked(iter(lambda: file.read(1 << 20), b""))
