"""Wheels and base images of a few bytes, written by hand."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.publish.image.descriptors import CONFIG, INDEX, MANIFEST, REF_NAME, Descriptor, ImagePlatform
from gpuwheel.publish.image.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

__all__ = ["TinyWheel", "layer_members", "named_image", "recorded", "tiny_base"]

_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
GLIBC = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0"


@dataclass(frozen=True)
class TinyWheel:
    """A pure wheel, unless it is told otherwise."""

    name: str = "ops"
    version: str = "1.0"
    files: Mapping[str, bytes] = field(default_factory=lambda: {"ops/__init__.py": b"ANSWER = 42\n"})
    requires: Sequence[str] = ()
    entry_points: str = ""
    tag: str = "py3-none-any"
    executable: Sequence[str] = ()
    record: str | None = None
    """Instead of the right one."""
    further: str = ""
    """Lines of METADATA."""
    compression: int = zipfile.ZIP_DEFLATED
    level: int | None = None

    def write(self, folder: Path) -> Path:
        """The wheel file."""
        folder.mkdir(parents=True, exist_ok=True)
        info = f"{self.name}-{self.version}.dist-info"
        lines = ["Metadata-Version: 2.4", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Dist: {one}" for one in self.requires]
        content = {
            **self.files,
            f"{info}/METADATA": ("\n".join(lines) + f"\n{self.further}\n").encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: hand\nTag: {self.tag}\n".encode(),
        }
        if self.entry_points:
            content[f"{info}/entry_points.txt"] = self.entry_points.encode()
        rows = [f"{name},{recorded(data)},{len(data)}" for name, data in content.items()]
        record = "\n".join([*rows, f"{info}/RECORD,,\n"]) if self.record is None else self.record
        path = folder / f"{self.name}-{self.version}-{self.tag}.whl"
        with zipfile.ZipFile(path, "w", self.compression) as archive:
            for name, data in {**content, f"{info}/RECORD": record.encode()}.items():
                one = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                one.external_attr = (0o100755 if name in self.executable else 0o100644) << 16
                one.compress_type = self.compression
                archive.writestr(one, data, compresslevel=self.level)
        return path


def recorded(data: bytes) -> str:
    """A digest as RECORD has it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _tar(files: Mapping[str, bytes | str]) -> bytes:
    """Bytes are a file's, a string the target of a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(b"" if isinstance(content, str) else content))
    return out.getvalue()


def tiny_base(
    folder: Path,
    *,
    tag: str = "base",
    layers: Sequence[Mapping[str, bytes | str]] | None = None,
    run: Mapping[str, Any] | None = None,
    platforms: Sequence[ImagePlatform] = (ImagePlatform(),),
) -> str:
    """`oci:DIR:TAG` of a base with Python 3.11 and glibc 2.36, for several platforms by an index."""
    layout = Layout.create(folder)
    usual: dict[str, bytes | str] = {
        "usr/bin/python3.11": b"\x7fELF",
        "usr/bin/python3": "python3.11",
        "usr/lib/libc.so.6": GLIBC,
    }
    images = []
    for platform in platforms:
        blobs, diff_ids = [], []
        for files in [usual] if layers is None else layers:
            tar = _tar(files)
            diff_ids.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
            blobs.append(layout.put(gzip.compress(tar, mtime=0), _LAYER))
        config = layout.put_json(
            {
                **platform.to_json(),
                "config": dict(run or {}),
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": [{"created_by": "hand"}],
            },
            CONFIG,
        )
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.to_json(),
            "layers": [one.to_json() for one in blobs],
        }
        images.append(layout.put_json(document, MANIFEST, platform=platform))
    if len(images) == 1:
        named = Descriptor(MANIFEST, images[0].digest, images[0].size, {REF_NAME: tag})
    else:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one.to_json() for one in images]}
        named = layout.put_json(document, INDEX, annotations={REF_NAME: tag})
    layout.name(named)
    return f"oci:{folder}:{tag}"


def named_image(folder: Path, tag: str = "latest") -> tuple[dict[str, Any], dict[str, Any]]:
    """(manifest, configuration) of an image in a layout."""
    layout = Layout.open(folder)
    manifest = layout.read_json(layout.find(tag))
    return manifest, layout.read_json(Descriptor.from_json(manifest["config"]))


def layer_members(folder: Path, digest: str) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """What is in a layer, by its path."""
    data = Layout.open(folder).blob_path(digest).read_bytes()
    if data[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard  # noqa: PLC0415 (of an extra)

        tar = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    else:
        tar = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            found[member.name] = member, b"" if file is None else file.read()
        return found
