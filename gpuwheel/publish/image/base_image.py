"""What an image starts from: one platform of an image in a layout, its Python and its C library.

Of layers the names are read, as they are unpacked in passing, and the bytes of the C library; nothing is written, and
nothing of the base is run. What a layer holds is noted in the cache, by its digest.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, cast

from gpuwheel._endings import cut, reading
from gpuwheel._limits import BASE_LAYER, TAR_HEADER
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.compression import unpacked
from gpuwheel.publish.image.descriptors import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    ImagePlatform,
    descriptors_of,
    hex_of,
)
from gpuwheel.publish.image.image_plan import BaseImage, ImagePython

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.layout import Layout

__all__ = ["base_image", "base_platforms", "copy_layers", "image_python", "is_known", "python_of_option", "with_libc"]

_HINT = "pull the image again, or choose another base"
_MEDIA_TYPES = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
_LAYER = re.compile(r"application/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?")
_PYTHON = re.compile(r"(?P<folder>(?:[\w.+-]+/)*)bin/python(?P<version>3(?:\.\d+t?)?)")
_GLIBC_NAME = re.compile(r"(?:[\w.-]+/)*libc(?:-2\.\d+)?\.so(?:\.6)?")
_GLIBC = re.compile(rb"GNU C Library [^\n]{0,100}?version (?P<major>2)\.(?P<minor>\d+)")
_MUSL_NAME = re.compile(r"(?:[\w.-]+/)*(?:ld-musl-[\w.-]+\.so\.1|libc\.musl-[\w.-]+\.so\.1)")
_MUSL = re.compile(rb"\x00(?P<major>1)\.(?P<minor>[1-9]\d?)\.\d+\x00")
_LIBC_SIZE = 16_000_000
_NOTE = 2
"""Version of what is noted of a layer."""
_ARGUMENT = re.compile(r"(?:(?P<version>3\.\d+t?)=?)?(?P<path>/\S+)?")


def base_platforms(layout: Layout, named: Descriptor) -> dict[ImagePlatform, Descriptor]:
    """Each platform of an image or index in a layout, with its manifest.

    Raises:
        ImageError: it is damaged, or neither.
    """
    if named.media_type in INDEXES:
        found: dict[ImagePlatform, Descriptor] = {}
        for one in descriptors_of(layout.read_json(named), "manifests", named.digest):
            # "unknown" stands at attestations, which docker buildx puts among the manifests.
            if one.media_type in MANIFESTS and one.platform is not None and one.platform.os != "unknown":
                found.setdefault(_plain(one.platform), replace(one, source=named.source))
        return found
    if named.media_type not in MANIFESTS:
        msg = f"{named.digest} is no image (found {cut(named.media_type)}, expected a manifest or an index)"
        raise ImageError(msg, hint=_HINT)
    config = layout.read_json(_config_of(layout.read_json(named)))
    with reading(f"the configuration of {named.digest} is damaged", "os and architecture", error=ImageError):
        return {_plain(ImagePlatform(config["os"], config["architecture"], config.get("variant", ""))): named}


def _plain(platform: ImagePlatform) -> ImagePlatform:
    """Without a variant that says nothing: every arm64 is v8 (image-spec, "Platform Variants")."""
    is_usual = (platform.architecture, platform.variant) in {("arm64", "v8"), ("amd64", "v1")}
    return ImagePlatform(platform.os, platform.architecture) if is_usual else platform


def _config_of(manifest: Mapping[str, Any]) -> Descriptor:
    return Descriptor.from_json(manifest.get("config"))


def base_image(layout: Layout, manifest: Descriptor, reference: str) -> BaseImage:
    """The image of a manifest in a layout; its layers need not be there.

    Raises:
        ImageError: it is damaged, or has layers that nobody may copy.
    """
    document = layout.read_json(manifest)
    config = layout.read_json(_config_of(document))
    layers = []
    for layer in descriptors_of(document, "layers", manifest.digest):
        media_type = _MEDIA_TYPES.get(layer.media_type, layer.media_type)
        if _LAYER.fullmatch(media_type) is None:
            msg = f"{reference} has a layer that cannot be used ({cut(layer.media_type)}, expected a tar of OCI)"
            raise ImageError(msg, hint="choose another base")
        layers.append(Descriptor(media_type, layer.digest, layer.size, layer.annotations, source=manifest.source))
    with reading(f"the configuration of {reference} is damaged", "one of OCI", error=ImageError, hint=_HINT):
        diff_ids = config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(layers) or not all(hex_of(one) for one in diff_ids):
            msg = f"{len(diff_ids)} diff_ids for {len(layers)} layers"
            raise ValueError(msg)
        run = config.get("config") or {}
        for key, kind in (("Env", list), ("Labels", dict)):
            if run.get(key) is not None and not isinstance(run[key], kind):
                msg = f"{key} is {cut(run[key])}"
                raise TypeError(msg)
    return BaseImage(reference, manifest.digest, tuple(layers), config)


def copy_layers(source: Layout, base: BaseImage, target: Layout) -> None:
    """Have the layers of a base in another layout.

    Raises:
        ImageError: one is not there, or damaged.
        OSError: it cannot be written.
    """
    for layer in base.layers:
        if not target.has(layer):
            if not source.has(layer):
                msg = f"{base.reference} lacks its layer {layer.digest}"
                raise ImageError(msg, hint=_HINT)
            target.copy_from(source.blob_path(layer.digest), layer)


class _Stream(io.RawIOBase):
    """Blocks as a file, up to a bound."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        super().__init__()
        self._blocks, self._rest, self._left = iter(blocks), b"", BASE_LAYER.value

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (a buffer)
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
            self._left -= len(block)
            if self._left < 0:
                raise ValueError(BASE_LAYER.passed("more"))
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


class _Member(tarfile.TarInfo):
    """A member whose extended header is no larger than anybody's."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:  # noqa: ANN401 (as its base)
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        is_extended = self.type in (*extended, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if is_extended and self.size > TAR_HEADER.value:
            raise ValueError(TAR_HEADER.passed(f"{self.size:,}"))
        return super()._proc_member(archive)  # type: ignore[misc]


def is_known(layout: Layout, base: BaseImage, cache: Cache) -> bool:
    """Whether it is noted what all layers of a base hold, or they are here to be looked into."""
    return all(layout.has(layer) or _noted(layer, cache) is not None for layer in base.layers)


def _note_name(layer: Descriptor) -> str:
    return f"image-layer-{hex_of(layer.digest)}"


def _noted(layer: Descriptor, cache: Cache) -> list[list[str]] | None:
    noted = cache.note(_note_name(layer))
    if noted is not None:
        try:
            known = json.loads(noted)
            if known["version"] == _NOTE:
                return [[str(path), str(what)] for path, what in known["found"]]
        except (ValueError, KeyError, TypeError):
            pass  # damaged: read the layer again
    return None


def _looked_into(layout: Layout, layer: Descriptor, cache: Cache) -> list[list[str]]:
    """What is worth knowing of a layer: (path, what) with "python", "link TARGET", "glibc 2.36", "musl 1.2", "gone"."""
    noted = _noted(layer, cache)
    if noted is not None:
        return noted
    if not layout.has(layer):
        msg = f"{layout.folder} lacks the layer {layer.digest} of the base"
        raise ImageError(msg, hint=_HINT)
    with layout.blob_path(layer.digest).open("rb") as file:
        blocks = iter(lambda: file.read(1 << 20), b"")
        with reading(f"the layer {layer.digest} is damaged", "a tar", error=ImageError, hint=_HINT):
            try:
                found = [list(one) for one in _worth_knowing(unpacked(blocks))]
            except tarfile.TarError as error:
                raise ValueError(cut(error)) from error
    cache.keep_note(_note_name(layer), json.dumps({"version": _NOTE, "found": found}).encode())
    return found


def _worth_knowing(blocks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    stream = cast("IO[bytes]", io.BufferedReader(_Stream(blocks), 1 << 20))
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # else every member of every layer stays in memory
            path = member.name.removeprefix("./").strip("/")
            folder, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                yield folder, "gone"
            elif name.startswith(".wh."):
                yield f"{folder}/{name.removeprefix('.wh.')}".strip("/"), "gone"
            elif _PYTHON.fullmatch(path):
                yield path, f"link {member.linkname}" if member.issym() or member.islnk() else "python"
            elif member.isfile() and (_GLIBC_NAME.fullmatch(path) or _MUSL_NAME.fullmatch(path)):
                yield from _libc(archive, member, path)


def _libc(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> Iterator[tuple[str, str]]:
    file = archive.extractfile(member)
    data = b"" if file is None or member.size > _LIBC_SIZE else file.read()
    for name, pattern in (("glibc", _GLIBC), ("musl", _MUSL)):
        if (name == "musl") is (_MUSL_NAME.fullmatch(path) is not None) and (match := pattern.search(data)):
            yield path, f"{name} {match['major'].decode()}.{match['minor'].decode()}"


def _inside(layout: Layout, layers: Sequence[Descriptor], cache: Cache) -> dict[str, str]:
    """The same of all layers, each over those below it."""
    found: dict[str, str] = {}
    for layer in layers:
        rows = _looked_into(layout, layer, cache)
        for path, what in rows:
            if what == "gone":
                for gone in [one for one in found if not path or one == path or one.startswith(f"{path}/")]:
                    del found[gone]
        found |= {path: what for path, what in rows if what != "gone"}
    return found


def with_libc(base: BaseImage, layout: Layout, cache: Cache) -> BaseImage:
    """The same base with the version of its C library, where its layers tell.

    Raises:
        ImageError: a layer is damaged or not there, or of zstd, which zstandard is needed for.
    """
    versions: dict[str, tuple[int, int]] = {}
    for what in _inside(layout, base.layers, cache).values():
        name, _, version = what.partition(" ")
        if name in {"glibc", "musl"}:
            major, minor = version.split(".")
            versions[name] = max(versions.get(name, (0, 0)), (int(major), int(minor)))
    return BaseImage(base.reference, base.digest, base.layers, base.config, versions.get("glibc"), versions.get("musl"))


def python_of_option(text: str | None) -> tuple[str | None, str | None]:
    """(version, path) of `3.13`, `/usr/bin/python3.13` or `3.13=/opt/python/bin/python`.

    Raises:
        ImageError: it is none of them.
    """
    found = _ARGUMENT.fullmatch(text or "")
    if found is None or (found["version"] and found["path"] and "=" not in (text or "")):
        msg = f"{cut(repr(text))} names no Python of an image (expected 3.13, /usr/bin/python3.13 or 3.13=/path)"
        raise ImageError(msg, hint="for example: --python 3.13")
    return found["version"], found["path"]


def image_python(where: tuple[BaseImage, Layout] | None, cache: Cache, asked: str | None) -> ImagePython:
    """The Python of a base that the wheels are for.

    Args:
        where: the image, and the layout with its layers; `None` where nothing is below.
        cache: where it is noted what a layer holds.
        asked: as `python_of_option` takes it.

    Raises:
        ImageError: there is none, or several to choose from.
    """
    version, path = python_of_option(asked)
    if path is not None:
        named = _PYTHON.fullmatch(path.lstrip("/"))
        told = version or (named["version"] if named and "." in named["version"] else None)
        if told is None:
            msg = f"{path} does not tell the version of Python"
            raise ImageError(msg, hint=f"say it: --python 3.13={path}")
        return _python(told, path)
    if where is None:
        msg = "where Python is in the image is not known (there is no base to look into)"
        raise ImageError(msg, hint="say it: --python 3.13=/usr/local/bin/python3.13")
    base, layout = where
    found = _inside(layout, base.layers, cache)
    candidates = {one: match["version"] for one in found if (match := _PYTHON.fullmatch(one))}
    versions = {one: number for one, number in candidates.items() if "." in number and version in {None, number}}
    path_of = base.env.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    for folder in path_of.split(":"):
        here = {one: number for one, number in versions.items() if f"/{one}".rpartition("/")[0] == folder}
        usual = found.get(f"{folder.strip('/')}/python3", "").removeprefix("link ").rpartition("/")[2]
        chosen = [one for one in here if len(here) == 1 or one.rpartition("/")[2] == usual]
        if chosen:
            return _python(here[chosen[0]], f"/{chosen[0]}")
    shown = cut(", ".join(f"/{one}" for one in sorted(candidates)) or "none")
    msg = f"{base.reference} has no Python {version or 'that is the usual one'} on its PATH (found {shown})"
    raise ImageError(msg, hint="choose a base with Python, or say which: --python 3.13=/opt/python/bin/python3.13")


def _python(version: str, path: str) -> ImagePython:
    major, minor = version.removesuffix("t").split(".")
    return ImagePython((int(major), int(minor)), path, free_threaded=version.endswith("t"))
