"""Wheel files as an image wants to know them: digest, name and METADATA, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from gpuwheel._endings import cut, reading
from gpuwheel.errors import AuditError
from gpuwheel.publish.image.contents.opened_wheel import open_wheel
from gpuwheel.publish.image.image_plan import ImageWheel
from gpuwheel.wheel.metadata import field_values
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["image_wheel"]


def image_wheel(path: Path, sha256: str | None = None) -> ImageWheel:
    """A wheel file.

    Args:
        path: of the file.
        sha256: its digest, where somebody has just checked it.

    Raises:
        AuditError: it is no wheel, or its name and its METADATA disagree.
    """
    name = parse_wheel_name(path.name)
    project, version = parse_wheel_filename(path.name)[:2]
    with open_wheel(path) as wheel, reading(f"{path.name} is no wheel", "a Name in METADATA"):
        metadata = wheel.read("METADATA")
        stated = next(iter(field_values(metadata, "Name")), "")
        told = next(iter(field_values(metadata, "Version")), "")
        folder_name, _, folder_version = wheel.dist_info.removesuffix(".dist-info").partition("-")
        same = canonicalize_name(stated) == project == canonicalize_name(folder_name)
        if not same or not Version(told) == version == Version(folder_version.replace("_", "-")):
            found = cut(f"{stated} {told} in {wheel.dist_info}") if stated else "nothing"
            msg = f"{path.name} holds the metadata of {found} (expected {name.distribution} {version})"
            raise AuditError(msg, hint="do not rename wheels by hand")
        digest = sha256 or wheel.sha256()
    return ImageWheel(path, path.name, digest, wheel.size, str(project), version, metadata, wheel.state)
