"""What the project asks for: `[tool.gpuwheel]`, the environment and `-C` settings."""

from __future__ import annotations

from gpuwheel.config.files.globs import resolve_folders, resolve_sources
from gpuwheel.config.files.products import product_patterns
from gpuwheel.config.files.resolved import host_libraries, kernel_groups, requirements
from gpuwheel.config.laws.nvcc_extensions import nvcc_libraries
from gpuwheel.config.model import LoadedConfig
from gpuwheel.config.reading.reader import load_config

__all__ = [
    "LoadedConfig",
    "host_libraries",
    "kernel_groups",
    "load_config",
    "nvcc_libraries",
    "product_patterns",
    "requirements",
    "resolve_folders",
    "resolve_sources",
]
