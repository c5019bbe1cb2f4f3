"""Looking at finished libraries and wheels: does each hold what it claims?"""

from gpuwheel.audit.library import check_build_paths, check_library
from gpuwheel.audit.platform import PlatformVerdict, check_platform, platform_tag
from gpuwheel.audit.wheel_audit import audit_wheel
from gpuwheel.binary.elf import ElfFile, read_elf
from gpuwheel.binary.fatbin import Image, library_images, read_fatbin

__all__ = [
    "ElfFile",
    "Image",
    "PlatformVerdict",
    "audit_wheel",
    "check_build_paths",
    "check_library",
    "check_platform",
    "library_images",
    "platform_tag",
    "read_elf",
    "read_fatbin",
]
