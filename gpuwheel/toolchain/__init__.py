"""Provision and probe what compiles: the device compiler, the torch SDK, the host compiler. Each says `found_via`."""

from gpuwheel.toolchain.context import Context, Traffic
from gpuwheel.toolchain.device import find_device_compiler
from gpuwheel.toolchain.host import find_host_compiler
from gpuwheel.toolchain.platforms import PlatformFacts, check_platform, probe_platform
from gpuwheel.toolchain.torch_sdk import find_torch_sdk

__all__ = [
    "Context",
    "PlatformFacts",
    "Traffic",
    "check_platform",
    "find_device_compiler",
    "find_host_compiler",
    "find_torch_sdk",
    "probe_platform",
]
