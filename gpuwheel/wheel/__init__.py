"""Reading and writing wheels and sdists: a library below the stages."""

from gpuwheel.wheel.archive import Member, Packing, append_members, read_members, write_wheel
from gpuwheel.wheel.metadata import add_requirements, requirements
from gpuwheel.wheel.naming import WheelName, parse_sdist_name, parse_wheel_name, sdist_name
from gpuwheel.wheel.rewrite import WheelEdits, rewrite_sdist, rewrite_wheel
from gpuwheel.wheel.sbom import SBOM_FILE, toolchain_sbom, with_lock

__all__ = [
    "SBOM_FILE",
    "Member",
    "Packing",
    "WheelEdits",
    "WheelName",
    "add_requirements",
    "append_members",
    "parse_sdist_name",
    "parse_wheel_name",
    "read_members",
    "requirements",
    "rewrite_sdist",
    "rewrite_wheel",
    "sdist_name",
    "toolchain_sbom",
    "with_lock",
    "write_wheel",
]
