"""From a plan to an image in a layout: blobs first, then what points to them, so that an interrupt leaves no image."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.publish.image.choice.fitting import Target
from gpuwheel.publish.image.choice.requirements_met import required_names
from gpuwheel.publish.image.contents.bytecode import bytecode_of, is_made_here
from gpuwheel.publish.image.contents.installed import ImageFile, Place, text_file, venv_files
from gpuwheel.publish.image.contents.making import LayerMaker, MadeLayer
from gpuwheel.publish.image.descriptors import CONFIG, INDEX, INDEXES, MANIFEST, REF_NAME, Descriptor, descriptors_of
from gpuwheel.publish.image.image_bill import BILL_TYPE, bill_path, image_bill, put_bill
from gpuwheel.publish.image.image_config import configuration, manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.image.compression import Compression
    from gpuwheel.publish.image.image_plan import ImagePlan, LayerGroup
    from gpuwheel.publish.image.layout import Layout

__all__ = ["WrittenImage", "name_images", "write_image"]


@dataclass(frozen=True)
class WrittenImage:
    """An image in a layout, without a name yet."""

    plan: ImagePlan
    manifest: Descriptor
    layers: tuple[MadeLayer, ...]
    """Over the base's."""
    bill: Descriptor
    """The artifact with its bill of materials, which refers to it."""
    bill_of_materials: bytes


def write_image(
    plan: ImagePlan, compression: Compression, layout: Layout, cache: Cache, reporter: Reporter
) -> WrittenImage:
    """Write the layers that are new, the configuration and the manifest; `name_images` gives it its name.

    The layers of the base are in the layout, or have a source (`Descriptor.source`).

    Raises:
        AuditError: a wheel is damaged, or was changed since it was planned with.
        OSError: the layout cannot be written.
        CacheError: the cache cannot be written.
    """
    bill = image_bill(plan, required_names(plan.wheels, Target(plan.platform, plan.python, plan.base)))
    maker = LayerMaker(plan, compression, layout, cache)
    size = sum(wheel.size for wheel in plan.wheels)
    contents = _with_files(plan, bill)
    if plan.compile_bytecode:
        _add_bytecode(plan, contents, cache, reporter)
    with reporter.progress(f"writing layers of {plan.platform}", size) as progress:
        layers = _made(maker, contents, progress.advance)
    config = layout.put_json(configuration(plan, [(one.diff_id, one.title) for one in layers]), CONFIG)
    base = () if plan.base is None else plan.base.layers
    document = manifest(config, [*base, *(one.blob for one in layers)], plan.annotations)
    image = layout.put_json(document, MANIFEST, platform=plan.platform)
    return WrittenImage(plan, image, layers, put_bill(layout, bill, image), bill)


def _with_files(plan: ImagePlan, bill: bytes) -> list[tuple[LayerGroup, list[ImageFile]]]:
    """The layers over the base, each with the files that are of no wheel."""
    skeleton = venv_files(Place(plan.prefix, plan.python), plan.home, plan.home_owner)
    layers = [(group, list[ImageFile]()) for group in plan.layers]
    layers[0][1].extend(skeleton)
    # In the top layer, which changes whenever it does.
    layers[-1][1].append(text_file(bill_path(plan), bill))
    return layers


def _add_bytecode(
    plan: ImagePlan, contents: Sequence[tuple[LayerGroup, list[ImageFile]]], cache: Cache, reporter: Reporter
) -> None:
    if not is_made_here(plan.python):
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        reporter.warn(f"no bytecode is made: the image has Python {plan.python}, and gpuwheel runs on {running}")
        return
    for group, files in contents:
        if group.wheels:
            files.extend(bytecode_of(group, Place(plan.prefix, plan.python), cache, reporter))


def _made(
    maker: LayerMaker, layers: Sequence[tuple[LayerGroup, list[ImageFile]]], advance: Callable[[int], None]
) -> tuple[MadeLayer, ...]:
    """All layers, some at a time: hashing and compressing leave the interpreter to others."""
    stopped, turn = threading.Event(), threading.Lock()

    def heard(size: int) -> None:
        if stopped.is_set():
            raise InterruptedError
        with turn:
            advance(size)

    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    try:
        # The largest first: what is left at the end is then short.
        order = sorted(range(len(layers)), key=lambda at: -sum(wheel.size for wheel in layers[at][0].wheels))
        work = {at: pool.submit(maker.make, *layers[at], heard) for at in order}
        made = tuple(work[at].result() for at in range(len(layers)))
    except BaseException:
        stopped.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return made


def name_images(layout: Layout, images: Sequence[WrittenImage], tag: str) -> Descriptor:
    """Give images their name in the layout: several platforms by an index.

    Returns:
        What has the name.

    Raises:
        ImageError: index.json is damaged.
        OSError: it cannot be written.
    """
    found = [image.manifest for image in images]
    if len(found) == 1:
        named = Descriptor(MANIFEST, found[0].digest, found[0].size, {REF_NAME: tag}, found[0].platform)
    else:
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [one.to_json() for one in sorted(found, key=lambda one: str(one.platform))],
            "annotations": dict(images[0].plan.annotations),
        }
        named = layout.put_json(document, INDEX, annotations={REF_NAME: tag})
    layout.write_index(lambda before: _renamed(layout, before, named, [image.bill for image in images]))
    return named


def _renamed(
    layout: Layout, before: Sequence[Descriptor], named: Descriptor, bills: Sequence[Descriptor]
) -> list[Descriptor]:
    """What the index names then: a bill of an image that has no name any more goes with it."""
    images = [one for one in before if one.artifact_type != BILL_TYPE and one.tag != named.tag] + [named]
    alive = {one.digest for image in images for one in [image, *_inside(layout, image)]}
    kept = [
        one for one in before if one.artifact_type == BILL_TYPE and one not in bills and _subject(layout, one) in alive
    ]
    return [*images, *kept, *bills]


def _subject(layout: Layout, artifact: Descriptor) -> str | None:
    subject = layout.read_json(artifact).get("subject")
    return subject.get("digest") if isinstance(subject, dict) else None


def _inside(layout: Layout, image: Descriptor) -> tuple[Descriptor, ...]:
    if image.media_type not in INDEXES:
        return ()
    return descriptors_of(layout.read_json(image), "manifests", image.digest)
