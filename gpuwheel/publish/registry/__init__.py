"""The protocol of registries (OCI distribution): images between them and a layout on disk."""

from __future__ import annotations

from gpuwheel.publish.registry.exchanges import RegistryAccess
from gpuwheel.publish.registry.image_reference import ImageReference, parse_hosts, parse_reference
from gpuwheel.publish.registry.pulling import pull
from gpuwheel.publish.registry.pushing import Pushed, push

__all__ = ["ImageReference", "Pushed", "RegistryAccess", "parse_hosts", "parse_reference", "pull", "push"]
