"""What an image starts from: one platform of an image in a layout, its Python and its C library."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from gpuwheel._endings import cut, reading
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.contents.base_layers import PYTHON_NAME, inside_of, is_noted, library_version, resolved
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
    from collections.abc import Mapping

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.layout import Layout

__all__ = [
    "base_image",
    "base_platforms",
    "copy_layers",
    "image_python",
    "is_known",
    "looked_into",
    "plain_platform",
    "python_of_option",
]

_HINT = "pull the image again, or choose another base"
_MEDIA_TYPES = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
_LAYER = re.compile(r"application/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?")
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
                found.setdefault(plain_platform(one.platform), replace(one, source=named.source))
        return found
    if named.media_type not in MANIFESTS:
        msg = f"{named.digest} is no image (found {cut(named.media_type)}, expected a manifest or an index)"
        raise ImageError(msg, hint=_HINT)
    config = layout.read_json(_config_of(layout.read_json(named)))
    with reading(f"the configuration of {named.digest} is damaged", "os and architecture", error=ImageError):
        return {plain_platform(ImagePlatform(config["os"], config["architecture"], config.get("variant", ""))): named}


def plain_platform(platform: ImagePlatform) -> ImagePlatform:
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
        _check_run(config.get("config") or {})
        history = config.get("history") or []
        if not all(isinstance(row, dict) for row in history):
            msg = f"history is {cut(history)}"
            raise TypeError(msg)
        if len([row for row in history if not row.get("empty_layer")]) != len(layers):
            # Each layer has a row, or none has (image-spec, `config.md`).
            config = {**config, "history": [{"created_by": f"layer of {manifest.digest}"}] * len(layers)}
    return BaseImage(reference, manifest.digest, tuple(layers), config)


def _check_run(run: Mapping[str, Any]) -> None:
    """Make sure that what an image says of its containers has the shapes of the image specification.

    Raises:
        TypeError: something has not.
    """
    for key, value in run.items():
        is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
        pairs = value.items() if isinstance(value, dict) else ()
        is_good = {
            "Env": is_list,
            "Entrypoint": is_list,
            "Cmd": is_list,
            "Labels": isinstance(value, dict) and all(isinstance(one, str) for pair in pairs for one in pair),
            "User": isinstance(value, str),
            "WorkingDir": isinstance(value, str),
        }.get(key, True)
        if value is not None and not is_good:
            msg = f"{key} is {cut(value)}"
            raise TypeError(msg)


def copy_layers(source: Layout, base: BaseImage, target: Layout) -> None:
    """Have the layers of a base in another layout.

    Raises:
        ImageError: one is not there, or damaged.
        OSError: it cannot be written.
    """
    for layer in base.layers:
        if source.folder.resolve() == target.folder.resolve():
            target.check(layer)
            continue
        if not source.has(layer):
            msg = f"{base.reference} lacks its layer {layer.digest}"
            raise ImageError(msg, hint=_HINT)
        target.copy_from(source.blob_path(layer.digest), layer)


def is_known(layout: Layout, base: BaseImage, cache: Cache) -> bool:
    """Whether it is noted what all layers of a base hold, or they are here to be looked into."""
    return all(layout.has(layer) or is_noted(layer, cache) for layer in base.layers)


def looked_into(base: BaseImage, layout: Layout, cache: Cache) -> BaseImage:
    """The same base with what its layers hold.

    Raises:
        ImageError: a layer is damaged or not there, or of zstd, which zstandard is needed for.
    """
    inside = inside_of(layout, base.layers, cache)
    glibc, musl = (library_version(inside, name) for name in ("glibc", "musl"))
    return replace(base, inside=inside, glibc=glibc, musl=musl)


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


def image_python(base: BaseImage | None, asked: str | None) -> ImagePython:
    """The Python of a base that the wheels are for.

    Args:
        base: the image, looked into; `None` where nothing is below.
        asked: as `python_of_option` takes it.

    Raises:
        ImageError: there is none, or several to choose from.
    """
    version, path = python_of_option(asked)
    if path is None and base is None:
        msg = "where Python is in the image is not known (there is no base to look into)"
        raise ImageError(msg, hint="say it: --python 3.13=/usr/local/bin/python3.13")
    if path is not None:
        named = PYTHON_NAME.fullmatch(path.lstrip("/"))
        stated = named["version"] if named else None
        told = version or (stated if stated and "." in stated else None)
        if told is None:
            msg = f"{path} does not tell the version of Python"
            raise ImageError(msg, hint=f"say it: --python 3.13={path}")
        return _python(told, path if base is None else _program(base, path))
    return _usual_python(cast("BaseImage", base), version)


def _program(base: BaseImage, path: str) -> str:
    """The program that is at a path; in a virtual environment, the one that this was made of.

    Raises:
        ImageError: there is none.
    """
    at = path.strip("/")
    real = resolved(base.inside, at)
    if real is None or base.inside.get(real) != "python":
        msg = f"{base.reference} has no Python at {cut(path)} (found {_pythons(base)})"
        raise ImageError(msg, hint="name one of these: --python 3.13=/usr/local/bin/python3.13")
    environment = f"{at.rpartition('/')[0].rpartition('/')[0]}/pyvenv.cfg"
    return f"/{real}" if environment in base.inside else f"/{at}"


def _pythons(base: BaseImage) -> str:
    found = sorted(f"/{one}" for one in base.inside if PYTHON_NAME.fullmatch(one))
    return cut(", ".join(found) or "none")


def _usual_python(base: BaseImage, version: str | None) -> ImagePython:
    """The first on PATH, of a version where one is asked for."""
    candidates = {one: match["version"] for one in base.inside if (match := PYTHON_NAME.fullmatch(one))}
    versions = {one: number for one, number in candidates.items() if number and "." in number}
    path_of = base.env.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    for folder in path_of.split(":"):
        real = resolved(base.inside, folder) if folder.strip("/") else None
        here = {
            one: number
            for one, number in versions.items()
            if one.rpartition("/")[0] == real and version in {None, number}
        }
        usual = base.inside.get(f"{real}/python3", "").removeprefix("link ").rpartition("/")[2]
        chosen = [one for one in here if len(here) == 1 or one.rpartition("/")[2] == usual]
        if chosen:
            return _python(here[chosen[0]], _program(base, f"/{chosen[0]}"))
    msg = f"{base.reference} has no Python {version or 'that is the usual one'} on its PATH (found {_pythons(base)})"
    raise ImageError(msg, hint="choose a base with Python, or say which: --python 3.13=/opt/python/bin/python3.13")


def _python(version: str, path: str) -> ImagePython:
    major, minor = version.removesuffix("t").split(".")
    return ImagePython((int(major), int(minor)), path, free_threaded=version.endswith("t"))
