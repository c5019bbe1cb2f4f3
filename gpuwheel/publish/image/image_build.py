"""One call of `gpuwheel image`: its request, the plans that follow, and the images in a layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.base_image import copy_layers, plain_platform
from gpuwheel.publish.image.base_source import BaseSource, check_toolkit
from gpuwheel.publish.image.choice.locked_wheels import locked_wheels
from gpuwheel.publish.image.choice.reading_wheels import image_wheel
from gpuwheel.publish.image.descriptors import ImagePlatform
from gpuwheel.publish.image.image_planner import plan_image
from gpuwheel.publish.image.image_table import image_table
from gpuwheel.publish.image.image_writer import write_image
from gpuwheel.wheel.naming import expand_tag, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpuwheel.index.context import Context
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.image.compression import Compression
    from gpuwheel.publish.image.image_plan import BaseImage, ImagePlan, ImageWheel
    from gpuwheel.publish.image.image_planner import ImageWishes
    from gpuwheel.publish.image.image_writer import WrittenImage
    from gpuwheel.publish.image.layout import Layout

__all__ = ["ImageRequest", "parse_platform", "planned", "written"]

_NEED_PLATFORM = "say which: --platform linux/amd64"


@dataclass(frozen=True)
class ImageRequest:
    """What was asked for."""

    wheels: tuple[Path, ...]
    base: BaseSource
    wishes: ImageWishes
    platforms: tuple[ImagePlatform, ...] = ()
    """Empty: those of the base that the wheels are for."""
    python: str | None = None
    cuda_base: bool = False
    locks: tuple[Path, ...] = ()
    """Lock files, whose wheels are installed too."""


def parse_platform(text: str) -> ImagePlatform:
    """From "linux/arm64" or "linux/arm64/v8".

    Raises:
        ImageError: it is none.
    """
    system, *rest = text.split("/")
    if system != "linux" or not 1 <= len(rest) <= 2 or not all(part.isalnum() for part in rest):  # noqa: PLR2004
        expected = ", ".join(f"linux/{one}" for one in image_table().architectures)
        msg = f"{cut(repr(text))} is not a platform of images (expected one of {expected})"
        raise ImageError(msg, hint="for example: --platform linux/amd64 --platform linux/arm64")
    return plain_platform(ImagePlatform(system, *rest))


def planned(request: ImageRequest, context: Context) -> list[ImagePlan]:
    """The image of each platform, decided and checked.

    Raises:
        ImageError: the wheels, the base and the wishes do not go together.
        AuditError: a wheel is damaged.
    """
    wheels = []
    for path in request.wheels:
        context.reporter.info(f"reading {path.name}")
        wheels.append(image_wheel(path))
    plans, given = [], {wheel.name for wheel in wheels}
    for platform in dict.fromkeys(request.platforms or _platforms(request.base, wheels)):
        target = request.base.target(platform, request.python, context.cache)
        check_toolkit(target, is_wanted=request.cuda_base)
        locked = [one for lock in request.locks for one in locked_wheels(lock, target, context, given)]
        plan = plan_image([*wheels, *locked], target, request.wishes, context.cache)
        if not any(group.is_project for group in plan.groups):
            context.reporter.warn(
                "no wheel is the project's own (several are required by none): --project NAME says which"
            )
        plans.append(plan)
    _check_used(wheels, plans, context.reporter)
    return plans


def _check_used(wheels: Sequence[ImageWheel], plans: Sequence[ImagePlan], reporter: Reporter) -> None:
    """Say which wheels are for other Pythons or platforms, where others of their project serve."""
    used = [wheel for plan in plans for wheel in plan.wheels]
    digests, names = {wheel.sha256 for wheel in used}, {wheel.name for wheel in used}
    for wheel in wheels:
        if wheel.name not in names:
            shown = ", ".join(str(plan.platform) for plan in plans)
            msg = f"{wheel.filename} is in none of the images (found {shown})"
            raise ImageError(msg, hint="leave it out, or name its platform too: --platform")
        if wheel.sha256 not in digests:
            reporter.info(f"{wheel.filename} is left out: another wheel of {wheel.name} fits better")


def _platforms(base: BaseSource, wheels: Sequence[ImageWheel]) -> list[ImagePlatform]:
    """Those that wheels are made for, of those that the base has."""
    table = image_table().architectures
    known = (
        sorted(one for one in base.manifests if one.os == "linux")
        if base.layout
        else [ImagePlatform("linux", one) for one in table]
    )
    if len(known) == 1:
        return known
    tags = [tag.platform for wheel in wheels for tag in expand_tag(parse_wheel_name(wheel.filename).tag)]
    machines = [(one, table.get(one.architecture)) for one in known]
    found = [one for one, machine in machines if any(machine and tag.endswith(f"_{machine}") for tag in tags)]
    if not found:
        msg = f"the wheels do not tell which platform the image is for (the base has {cut(', '.join(map(str, known)))})"
        raise ImageError(msg, hint=_NEED_PLATFORM)
    return found


def written(
    plans: Sequence[ImagePlan],
    base: BaseSource,
    layout: Layout,
    compression: Compression,
    context: Context,
    *,
    whole: bool = True,
) -> list[WrittenImage]:
    """Write the images into a layout; `name_images` gives them their name.

    Args:
        plans: of the images.
        base: that they were planned with.
        layout: where they go.
        compression: of their layers.
        context: cache, reporter.
        whole: whether the base's layers come too; else those of a registry stay there, to be mounted from there.

    Raises:
        ImageError: the base lacks a layer.
        AuditError: a wheel is damaged, or was changed meanwhile.
        OSError: the layout cannot be written.
    """
    images = []
    for plan in plans:
        if plan.base is not None and base.layout is not None and (whole or not _stays(plan.base)):
            base.bring(plan.platform)
            copy_layers(base.layout, plan.base, layout)
        images.append(write_image(plan, compression, layout, context.cache, context.reporter))
    return images


def _stays(base: BaseImage) -> bool:
    """Whether all layers of a base can be had from where they are."""
    return all(layer.source is not None for layer in base.layers)
