"""What `gpuwheel image` says of images: for people, and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.publish.image.image_writer import WrittenImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.image.image_costs import LayerCost
    from gpuwheel.publish.image.image_plan import ImagePlan
    from gpuwheel.publish.image.sharing import Sharing
    from gpuwheel.publish.registry import Pushed

__all__ = ["image_document", "sharing_document", "tell_images", "tell_pushed", "tell_sharing"]

_MB = 1_000_000
_CONTENTS = "dev.gpuwheel.contents"


def _size(size: int) -> str:
    return f"{size / 1e6:10.1f} MB" if size >= _MB else f"{size / 1e3:10.1f} kB"


def tell_images(images: Sequence[WrittenImage | ImagePlan], rows: Sequence[list[LayerCost]]) -> None:
    """A row for each layer."""
    for image, layers in zip(images, rows, strict=True):
        plan = image.plan if isinstance(image, WrittenImage) else image
        click.echo(f"{plan.platform}, Python {plan.python}")
        for layer in layers:
            digest = "" if layer.digest is None else f"{layer.digest[7:19]}  "
            note = "  (made before)" if layer.reused and layer.title != "base" else ""
            click.echo(f"{_size(layer.size)}  {digest}{layer.title}{note}")
        click.echo(f"{_size(sum(layer.size for layer in layers))}  in {len(layers)} layers")


def tell_pushed(pushed: Pushed) -> None:
    """What travelled, and what did not have to."""
    parts = (("sent", pushed.sent), ("already there", pushed.skipped), ("mounted", pushed.mounted))
    click.echo(f"{pushed.reference}")
    click.echo("  " + ", ".join(f"{_size(size).strip()} {what}" for what, size in parts))


def image_document(
    images: Sequence[WrittenImage | ImagePlan],
    rows: Sequence[list[LayerCost]],
    named: Descriptor | None,
    pushed: Pushed | None,
) -> dict[str, Any]:
    """For machines, schema 1 (`data/image.schema.json`)."""
    found = []
    for image, layers in zip(images, rows, strict=True):
        plan = image.plan if isinstance(image, WrittenImage) else image
        found.append(
            {
                "platform": str(plan.platform),
                "python": str(plan.python),
                "digest": image.manifest.digest if isinstance(image, WrittenImage) else None,
                "base": None if plan.base is None else plan.base.digest,
                "layers": [asdict(layer) for layer in layers],
            }
        )
    sent = pushed and {
        "reference": str(pushed.reference),
        "sent": pushed.sent,
        "skipped": pushed.skipped,
        "mounted": pushed.mounted,
    }
    return {"schema": 1, "digest": None if named is None else named.digest, "images": found, "pushed": sent}


def tell_sharing(rows: Sequence[Sharing], names: tuple[str, str]) -> None:
    """What two images share."""
    for row in rows:
        click.echo(f"{row.platform}")
        parts = (
            ("in both", row.shared),
            (f"only in {names[0]}", row.only_first),
            (f"only in {names[1]}", row.only_second),
        )
        for title, layers in parts:
            click.echo(f"{_size(sum(one.size for one in layers))}  {title}")
            for one in layers:
                click.echo(f"  {_size(one.size)}  {one.digest[7:19]}  {one.annotations.get(_CONTENTS, '')}".rstrip())
        click.echo(f"{_size(row.both)}  for both together")


def sharing_document(rows: Sequence[Sharing], names: tuple[str, str]) -> dict[str, Any]:
    """For machines, schema 1 (`data/image_sharing.schema.json`)."""
    return {
        "schema": 1,
        "images": list(names),
        "platforms": [
            {
                "platform": str(row.platform),
                "both": row.both,
                **{
                    key: [
                        {"digest": one.digest, "size": one.size, "title": one.annotations.get(_CONTENTS)}
                        for one in layers
                    ]
                    for key, layers in (
                        ("shared", row.shared),
                        ("only_first", row.only_first),
                        ("only_second", row.only_second),
                    )
                },
            }
            for row in rows
        ],
    }
