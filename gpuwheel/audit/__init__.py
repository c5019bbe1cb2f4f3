"""Looking at finished libraries and wheels: does each hold what it claims?"""

from gpuwheel.audit.elf import ElfFile, read_elf
from gpuwheel.audit.library import check_build_paths, check_library
from gpuwheel.audit.platform import PlatformVerdict, check_platform, platform_tag

__all__ = [
    "ElfFile",
    "PlatformVerdict",
    "check_build_paths",
    "check_library",
    "check_platform",
    "platform_tag",
    "read_elf",
]
