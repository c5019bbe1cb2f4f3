"""Provision and probe what compiles: the device compiler, the torch SDK, the host compiler. Each says `found_via`.

What only mode `nvcc` needs is not imported here.
"""

from gpuwheel.index.context import Context, Traffic
from gpuwheel.toolchain.cuda.device_compiler import find_device_compiler
from gpuwheel.toolchain.cuda.tile_compiler import find_tile_compiler
from gpuwheel.toolchain.host import find_host_compiler
from gpuwheel.toolchain.linking.link_stubs import find_link_stubs
from gpuwheel.toolchain.probes.machine import PlatformFacts, check_platform, probe_platform
from gpuwheel.toolchain.torch_sdk import find_torch_sdk

__all__ = [
    "Context",
    "PlatformFacts",
    "Traffic",
    "check_platform",
    "find_device_compiler",
    "find_host_compiler",
    "find_link_stubs",
    "find_tile_compiler",
    "find_torch_sdk",
    "probe_platform",
]
