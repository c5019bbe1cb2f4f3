"""What `data/images.toml` says of engines, registries and NVIDIA's container toolkit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel._toml import own_table
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ImageTable", "image_table"]


@dataclass(frozen=True)
class ImageTable:
    """The table; sizes in bytes."""

    architectures: Mapping[str, str]
    """GOARCH -> the machine in platform tags."""
    layers: int
    """That an engine takes of one image."""
    slow_layer: int
    """Above this, some registries and networks fail."""
    large_layer: int
    """Above this, many registries refuse."""
    heavy: int
    """Wheels from this size on have a layer of their own."""
    budget: int
    """Layers over the base."""
    user: int
    home: str
    visible_devices: str
    driver_capabilities: str
    driver_libraries: re.Pattern[str]
    """File names of the driver's libraries."""
    toolkit_variables: tuple[str, ...]


@cache
def image_table() -> ImageTable:
    """The table that ships in the package.

    Raises:
        DataError: it is damaged.
    """
    with reading("gpuwheel/data/images.toml is damaged", "its own form", error=DataError, hint="reinstall gpuwheel"):
        data = own_table("images.toml")
        limits, layering, user, nvidia = (data[key] for key in ("limits", "layering", "user", "nvidia"))
        return ImageTable(
            architectures=dict(data["architectures"]),
            layers=limits["layers"],
            slow_layer=limits["slow-layer"],
            large_layer=limits["large-layer"],
            heavy=layering["heavy"],
            budget=layering["budget"],
            user=user["id"],
            home=f"/home/{user['name']}",
            visible_devices=nvidia["visible-devices"],
            driver_capabilities=nvidia["driver-capabilities"],
            driver_libraries=re.compile(
                rf"lib(?:{'|'.join(nvidia['driver-libraries'])})(?:-[0-9a-f]{{8}})?\.so(?:\.[\w.]+)?"
            ),
            toolkit_variables=tuple(nvidia["toolkit-variables"]),
        )
