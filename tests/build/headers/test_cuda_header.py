"""The few parts of cuda.h that <gpuwheel/driver.h> and the fakes repeat, against NVIDIA's headers."""

from __future__ import annotations

import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel._run import run

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workshop

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow]

WHEELS = ("nvidia-cuda-runtime-cu12==12.9.79", "nvidia-cuda-nvcc-cu12==12.9.86")  # nvcc: crt/host_defines.h
PAIRS = {
    "CU_LAUNCH_ATTRIBUTE_COOPERATIVE": "kCooperative",
    "CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION": "kClusterDimension",
    "CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION": "kProgrammaticStreamSerialization",
    "CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK": "kMaxThreadsPerBlock",
    "CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES": "kSharedSize",
    "CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES": "kConstantSize",
    "CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES": "kLocalSize",
    "CU_FUNC_ATTRIBUTE_NUM_REGS": "kRegisters",
    "CU_FUNC_ATTRIBUTE_PTX_VERSION": "kPtxVersion",
    "CU_FUNC_ATTRIBUTE_BINARY_VERSION": "kBinaryVersion",
    "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES": "kMaxDynamicSharedSize",
    "CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED": "kNonPortableClusterSizeAllowed",
    "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": "kComputeCapabilityMajor",
    "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": "kComputeCapabilityMinor",
    "CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": "kMaxSharedPerBlockOptin",
    "CU_LIBRARY_BINARY_IS_PRESERVED": "kBinaryIsPreserved",
    "CUDA_ERROR_INVALID_VALUE": "kInvalidValue",
    "CUDA_ERROR_NOT_INITIALIZED": "kNotInitialized",
    "CUDA_ERROR_INVALID_IMAGE": "kInvalidImage",
    "CUDA_ERROR_INVALID_CONTEXT": "kInvalidContext",
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "kNoBinary",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": "kUnsupportedPtx",
    "CUDA_ERROR_NOT_FOUND": "kNotFound",
}
FIELDS = {
    "gridDimX": "grid",
    "blockDimX": "block",
    "sharedMemBytes": "shared_bytes",
    "hStream": "stream",
    "attrs": "attributes",
    "numAttrs": "attribute_count",
}
FUNCTIONS = {
    "cuInit": "init",
    "cuDriverGetVersion": "driver_version",
    "cuLibraryLoadData": "library_load_data",
    "cuLibraryGetKernel": "library_get_kernel",
    "cuKernelGetFunction": "kernel_get_function",
    "cuKernelGetAttribute": "kernel_get_attribute",
    "cuKernelSetAttribute": "kernel_set_attribute",
    "cuLaunchKernelEx": "launch_kernel",
    "cuOccupancyMaxActiveBlocksPerMultiprocessor": "max_active_blocks",
    "cuOccupancyMaxPotentialBlockSize": "max_potential_block_size",
    "cuOccupancyMaxPotentialClusterSize": "max_potential_cluster_size",
    "cuDeviceGetAttribute": "device_get_attribute",
    "cuDevicePrimaryCtxRetain": "primary_context_retain",
    "cuCtxSetCurrent": "context_set_current",
    "cuCtxPushCurrent": "context_push_current",
    "cuCtxPopCurrent": "context_pop_current",
}
# Same number of parameters, each of the same size and kind.
SAME_SHAPE = """
template <typename A, typename B>
constexpr bool same = sizeof(A) == sizeof(B) && std::is_pointer<A>::value == std::is_pointer<B>::value;
template <typename A, typename B> struct Shape : std::false_type {};
template <typename R, typename S, typename... A, typename... B> struct Shape<R (*)(A...), S (*)(B...)>
    : std::bool_constant<sizeof...(A) == sizeof...(B) && same<R, S> && (same<A, B> && ...)> {};
"""


@pytest.fixture(scope="module")
def cuda_include(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("cuda")
    run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *WHEELS])
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if "/include/" in name])
    return sorted(folder.glob("nvidia/*/include"))


def test_layouts_values_and_signatures_are_those_of_cuda_h(workshop: Workshop, cuda_include: list[Path]) -> None:
    lines = [
        "#include <gpuwheel/launch.h>",
        "#include <cuda.h>",
        "#include <cstddef>",
        "namespace d = gpuwheel::driver;",
        SAME_SHAPE,
    ]
    lines += [
        f"static_assert(static_cast<int>({theirs}) == static_cast<int>(d::{ours}));" for theirs, ours in PAIRS.items()
    ]
    lines += [
        "static_assert(sizeof(d::LaunchConfig) == sizeof(CUlaunchConfig));",
        "static_assert(sizeof(d::LaunchAttribute) == sizeof(CUlaunchAttribute));",
    ]
    lines += [
        f"static_assert(offsetof(d::LaunchConfig, {ours}) == offsetof(CUlaunchConfig, {theirs}));"
        for theirs, ours in FIELDS.items()
    ]
    lines += [
        "static_assert(offsetof(d::LaunchAttribute, value) == offsetof(CUlaunchAttribute, value));",
        "static_assert(offsetof(d::LaunchAttribute, id) == offsetof(CUlaunchAttribute, id));",
    ]
    lines += [
        f"static_assert(Shape<decltype(&{theirs}), decltype(d::Functions::{ours})>::value);"
        for theirs, ours in FUNCTIONS.items()
    ]
    includes = [word for folder in cuda_include for word in ("-isystem", str(folder))]
    done = workshop.compile(
        "\n".join(lines) + "\nint main() {}\n", "-fsyntax-only", "-Wno-error", *includes, name="layout"
    )
    assert done.returncode == 0, done.output


def test_the_fake_runtime_fills_the_fields_that_cuda_12_has(workshop: Workshop, cuda_include: list[Path]) -> None:
    source = resource("testing", "native", "cudart.c").read_text()
    numbers = source[source.index("#if CUDART_MAJOR == 12\nenum") : source.index("static void put_int")]
    fields = {
        "PROP_SIZE": None,
        "PROP_SIZE_OF_CUDA_11": "hostRegisterSupported",  # the first that CUDA 12 appended
        "MULTIPROCESSORS": "multiProcessorCount",
        "MEMORY_BUS": "memoryBusWidth",
        "L2_CACHE": "l2CacheSize",
        "THREADS_PER_MULTIPROCESSOR": "maxThreadsPerMultiProcessor",
        "SHARED_PER_MULTIPROCESSOR": "sharedMemPerMultiprocessor",
        "REGISTERS_PER_MULTIPROCESSOR": "regsPerMultiprocessor",
        "COOPERATIVE": "cooperativeLaunch",
        "SHARED_OPTIN": "sharedMemPerBlockOptin",
        "BLOCKS_PER_MULTIPROCESSOR": "maxBlocksPerMultiProcessor",
        "UNIFIED_ADDRESSING": "unifiedAddressing",
        "TOTAL_MEMORY": "totalGlobalMem",
        "SHARED_PER_BLOCK": "sharedMemPerBlock",
        "REGISTERS_PER_BLOCK": "regsPerBlock",
        "WARP": "warpSize",
        "THREADS_PER_BLOCK": "maxThreadsPerBlock",
        "BLOCK_SIZE": "maxThreadsDim",
        "GRID_SIZE": "maxGridSize",
        "CONSTANT_MEMORY": "totalConstMem",
        "MAJOR": "major",
        "MINOR": "minor",
        "TEXTURE_ALIGNMENT": "textureAlignment",
    }
    lines = ["#include <cuda_runtime_api.h>", "#include <cstddef>", "#define CUDART_MAJOR 12", numbers]
    lines += [
        f"static_assert({ours} == "
        + (f"offsetof(cudaDeviceProp, {theirs})" if theirs else "sizeof(cudaDeviceProp)")
        + ");"
        for ours, theirs in fields.items()
    ]
    includes = [word for folder in cuda_include for word in ("-isystem", str(folder))]
    done = workshop.compile(
        "\n".join(lines) + "\nint main() {}\n", "-fsyntax-only", "-Wno-error", *includes, name="properties"
    )
    assert done.returncode == 0, done.output
