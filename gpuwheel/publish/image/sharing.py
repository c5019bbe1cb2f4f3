"""What two images share: layers of one digest, which are stored and sent once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.errors import ImageError
from gpuwheel.publish.image.descriptors import descriptors_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.publish.image.base_source import BaseSource
    from gpuwheel.publish.image.descriptors import Descriptor, ImagePlatform

__all__ = ["Sharing", "sharing"]


@dataclass(frozen=True)
class Sharing:
    """Two images of one platform."""

    platform: ImagePlatform
    shared: tuple[Descriptor, ...]
    """Layers of both."""
    only_first: tuple[Descriptor, ...]
    only_second: tuple[Descriptor, ...]

    @property
    def both(self) -> int:
        """Bytes that a registry, or a machine, holds for the two."""
        return sum(one.size for one in (*self.shared, *self.only_first, *self.only_second))


def sharing(first: BaseSource, second: BaseSource) -> list[Sharing]:
    """What two images share, for each platform that both have.

    Raises:
        ImageError: there is no such platform, or one is damaged.
    """
    platforms = sorted(first.manifests.keys() & second.manifests.keys())
    if not platforms:
        found = " and ".join(", ".join(map(str, sorted(one.manifests))) or "none" for one in (first, second))
        msg = f"{first.reference} and {second.reference} have no platform in common (found {found})"
        raise ImageError(msg, hint="compare images of one platform")
    rows = []
    for platform in platforms:
        one, other = (_layers(image, platform) for image in (first, second))
        rows.append(Sharing(platform, _chosen(one, other), _others(one, other), _others(other, one)))
    return rows


def _layers(image: BaseSource, platform: ImagePlatform) -> tuple[Descriptor, ...]:
    if image.layout is None:
        msg = f"{image.reference} is no image (expected oci:DIR:TAG or the name of one in a registry)"
        raise ImageError(msg, hint="for example: --compare oci:image:1.3 oci:image:1.4")
    manifest = image.manifests[platform]
    return _once(descriptors_of(image.layout.read_json(manifest), "layers", manifest.digest))


def _once(layers: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    return tuple({one.digest: one for one in layers}.values())


def _chosen(layers: Sequence[Descriptor], among: Sequence[Descriptor]) -> tuple[Descriptor, ...]:
    digests = {one.digest for one in among}
    return tuple(one for one in layers if one.digest in digests)


def _others(layers: Sequence[Descriptor], among: Sequence[Descriptor]) -> tuple[Descriptor, ...]:
    digests = {one.digest for one in among}
    return tuple(one for one in layers if one.digest not in digests)
