"""What each layer of an image costs, and where it meets the limits of registries and engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.publish.image.image_plan import ImagePlan
from gpuwheel.publish.image.image_table import image_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.publish.image.image_plan import LayerGroup
    from gpuwheel.publish.image.image_writer import WrittenImage

__all__ = ["LayerCost", "image_warnings", "layer_costs"]


@dataclass(frozen=True)
class LayerCost:
    """One layer: what it holds, and what it weighs."""

    title: str
    size: int
    """Bytes that are sent; of a plan, those of its wheels."""
    digest: str | None = None
    """`None`: nothing is written yet."""
    unpacked: int | None = None
    """Bytes of its tar; `None`: not known, as of the base's."""
    wheels: tuple[str, ...] = ()
    reused: bool = False
    """Whether it was made before, by an earlier call or by whoever made the base."""


def layer_costs(image: WrittenImage | ImagePlan) -> list[LayerCost]:
    """The layers of an image, or of one that is only planned, from below to the top."""
    plan = image if isinstance(image, ImagePlan) else image.plan
    base = () if plan.base is None else plan.base.layers
    below = [LayerCost("base", one.size, one.digest, reused=True) for one in base]
    if isinstance(image, ImagePlan):
        made = [
            LayerCost(one.title, _size(one), wheels=tuple(wheel.filename for wheel in one.wheels))
            for one in plan.layers
        ]
        return below + made
    return below + [
        LayerCost(one.title, one.blob.size, one.blob.digest, one.unpacked, one.wheels, one.reused)
        for one in image.layers
    ]


def _size(group: LayerGroup) -> int:
    return sum(wheel.size for wheel in group.wheels)


def image_warnings(layers: list[LayerCost]) -> Iterator[str]:
    """What registries and engines may make of these layers."""
    table = image_table()
    for layer in layers:
        if layer.size > table.slow_layer:
            limit = table.large_layer if layer.size > table.large_layer else table.slow_layer
            effect = "many registries refuse" if layer.size > table.large_layer else "some registries fail at"
            yield f"the layer {layer.title} has {layer.size / 1e9:.1f} GB: {effect} layers above {limit / 1e9:.0f} GB"
    if len(layers) > table.layers:
        yield f"the image has {len(layers)} layers: engines take {table.layers}"
