"""Where a base comes from: a layout on disk, a registry, or nowhere (`scratch`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.base_image import base_image, base_platforms, image_python, is_known, looked_into
from gpuwheel.publish.image.choice.fitting import Target
from gpuwheel.publish.image.image_table import image_table
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import parse_reference, pull

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.descriptors import Descriptor, ImagePlatform
    from gpuwheel.publish.registry import RegistryAccess

__all__ = ["BaseSource", "check_toolkit", "layout_reference", "local_base", "no_base", "registry_base"]

_LAYOUT = "oci:"


@dataclass(frozen=True)
class BaseSource:
    """A base for one or several platforms."""

    reference: str
    """As it was given."""
    layout: Layout | None
    """`None`: nothing is below."""
    manifests: Mapping[ImagePlatform, Descriptor]
    """What there is for each platform."""
    complete: Callable[[Descriptor], object] | None = None
    """Brings the layers of a manifest into the layout, from the registry that has them."""

    def target(self, platform: ImagePlatform, python: str | None, cache: Cache) -> Target:
        """What wheels are installed for on a platform.

        Args:
            platform: one of them.
            python: as `--python` has it.
            cache: where it is noted what the layers hold.

        Raises:
            ImageError: the base is not for this platform, has no Python, or is damaged.
        """
        if self.layout is None:
            return Target(platform, image_python(None, python), None)
        manifest = self.manifests.get(platform)
        if manifest is None:
            shown = ", ".join(sorted(map(str, self.manifests)))
            msg = f"{self.reference} is not for {platform} (found {cut(shown) or 'no platform'})"
            raise ImageError(msg, hint="choose another base, or one of its platforms: --platform linux/amd64")
        base = base_image(self.layout, manifest, self.reference)
        if not is_known(self.layout, base, cache):
            self.bring(platform)
        base = looked_into(base, self.layout, cache)
        return Target(platform, image_python(base, python), base)

    def bring(self, platform: ImagePlatform) -> None:
        """Have the layers for a platform in the layout.

        Raises:
            ImageError: a layer is nowhere.
            NetworkError: the registry does not give it.
        """
        manifest = self.manifests[platform]
        if self.layout is None:
            return
        layers = base_image(self.layout, manifest, self.reference).layers
        if self.complete is not None and not all(self.layout.has(layer) for layer in layers):
            self.complete(manifest)


def layout_reference(text: str) -> tuple[Path, str | None]:
    """(folder, tag) of `oci:DIR[:TAG]`; a folder with a colon in its name wants a tag."""
    rest = text.removeprefix(_LAYOUT)
    folder, colon, tag = rest.rpartition(":")
    return (Path(folder), tag) if colon and "/" not in tag else (Path(rest), None)


def no_base() -> BaseSource:
    """`scratch`."""
    return BaseSource("scratch", None, {})


def local_base(reference: str) -> BaseSource:
    """The image or index in a layout on disk, `oci:DIR[:TAG]`.

    Raises:
        ImageError: there is none, or there are several to choose from.
    """
    folder, tag = layout_reference(reference)
    layout = Layout.open(folder)
    return BaseSource(reference, layout, base_platforms(layout, layout.find(tag)))


def registry_base(text: str, layout: Layout, access: RegistryAccess) -> BaseSource:
    """The image or index that a registry has; what is needed of it comes into `layout`.

    Raises:
        NetworkError: the registry has none, or cannot be reached.
        ConfigError: `text` names no image.
    """
    reference = parse_reference(text)
    named = pull(reference, layout, access, layers=False)
    if reference.digest is None:
        pinned = reference.at(named.digest)
        access.reporter.warn(f"{reference} may be another image tomorrow: name it by its digest, --base {pinned}")

    def complete(manifest: Descriptor) -> None:
        pull(reference.at(manifest.digest), layout, access)

    return BaseSource(str(reference.at(named.digest)), layout, base_platforms(layout, named), complete)


def check_toolkit(target: Target, *, is_wanted: bool) -> Target:
    """Make sure that the base brings no CUDA toolkit, unless that is wanted.

    Raises:
        ImageError: it does.
    """
    base = target.base
    found = [name for name in image_table().toolkit_variables if base is not None and name in base.env]
    if base is None or not found or is_wanted:
        return target
    msg = f"{base.reference} brings a CUDA toolkit of its own ({found[0]}={cut(base.env[found[0]])}, expected none)"
    hint = (
        "wheels bring the libraries they need: choose a base with Python alone, or say that it is wanted: --cuda-base"
    )
    raise ImageError(msg, hint=hint)
