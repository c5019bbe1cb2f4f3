"""Provision and probe what compiles: the device compiler, the torch SDK, the host compiler. Each says `found_via`."""

from gpuwheel.toolchain.context import Context, Traffic
from gpuwheel.toolchain.cuda_host import find_nvcc_host_compiler
from gpuwheel.toolchain.cuda_toolkit import find_cuda_toolkit
from gpuwheel.toolchain.cutile import find_tile_compiler
from gpuwheel.toolchain.device import find_device_compiler
from gpuwheel.toolchain.host import find_host_compiler
from gpuwheel.toolchain.link_stubs import find_link_stubs
from gpuwheel.toolchain.platforms import PlatformFacts, check_platform, probe_platform
from gpuwheel.toolchain.python_headers import find_python_headers
from gpuwheel.toolchain.torch_sdk import find_torch_sdk

__all__ = [
    "Context",
    "PlatformFacts",
    "Traffic",
    "check_platform",
    "find_cuda_toolkit",
    "find_device_compiler",
    "find_host_compiler",
    "find_link_stubs",
    "find_nvcc_host_compiler",
    "find_python_headers",
    "find_tile_compiler",
    "find_torch_sdk",
    "probe_platform",
]
