"""Looking at finished libraries and wheels: does each hold what it claims?"""

from gpuwheel.audit.elf import ElfFile, read_elf
from gpuwheel.audit.fatbin import Image, library_images, read_fatbin
from gpuwheel.audit.library import check_build_paths, check_library
from gpuwheel.audit.platform import PlatformVerdict, check_platform, platform_tag
from gpuwheel.audit.wheel_audit import audit_wheel

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
