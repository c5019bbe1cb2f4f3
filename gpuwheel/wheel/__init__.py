"""Reading and writing wheels and sdists: a library below the stages."""

from gpuwheel.wheel.archive import Content, Member, PackedWheel, Packing, pack_wheel, read_members, write_wheel
from gpuwheel.wheel.local_version import labelled_folder
from gpuwheel.wheel.metadata import add_requirements, leave_requirements, requirements
from gpuwheel.wheel.naming import WheelName, parse_sdist_name, parse_wheel_name, sdist_name
from gpuwheel.wheel.rewrite import (
    Wheel,
    WheelEdits,
    add_members,
    edit_wheel,
    edited_metadata,
    read_wheel,
    rewrite_sdist,
)
from gpuwheel.wheel.sbom import SBOM_FILE, toolchain_sbom, with_lock, with_origins, with_sdist, with_shaping
from gpuwheel.wheel.sdist_tree import folder_digest

__all__ = [
    "SBOM_FILE",
    "Content",
    "Member",
    "PackedWheel",
    "Packing",
    "Wheel",
    "WheelEdits",
    "WheelName",
    "add_members",
    "add_requirements",
    "edit_wheel",
    "edited_metadata",
    "folder_digest",
    "labelled_folder",
    "leave_requirements",
    "pack_wheel",
    "parse_sdist_name",
    "parse_wheel_name",
    "read_members",
    "read_wheel",
    "requirements",
    "rewrite_sdist",
    "sdist_name",
    "toolchain_sbom",
    "with_lock",
    "with_origins",
    "with_sdist",
    "with_shaping",
    "write_wheel",
]
