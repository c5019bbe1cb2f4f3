"""What the world allows: tables of CUDA toolkits, torch releases and Linux platforms, and pure questions over them."""

from __future__ import annotations

from gpuwheel.compatibility.platforms import PlatformVerdict, oldest_platform
from gpuwheel.compatibility.questions import (
    TorchFloor,
    compression_for,
    coverage,
    driver_of_cuda,
    known_versions,
    nvcc_compression,
    serves,
    toolkits_for,
    torch_floor,
)
from gpuwheel.compatibility.rows import Compression, CudaToolkit, PlatformPolicy, Shim, Tables, TorchBuild
from gpuwheel.compatibility.tables import load_tables
from gpuwheel.model.pins import HeadersPin

__all__ = [
    "Compression",
    "CudaToolkit",
    "HeadersPin",
    "PlatformPolicy",
    "PlatformVerdict",
    "Shim",
    "Tables",
    "TorchBuild",
    "TorchFloor",
    "compression_for",
    "coverage",
    "driver_of_cuda",
    "known_versions",
    "load_tables",
    "nvcc_compression",
    "oldest_platform",
    "serves",
    "toolkits_for",
    "torch_floor",
]
