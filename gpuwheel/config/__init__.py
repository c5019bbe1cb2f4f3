"""What the project asks for: `[tool.gpuwheel]`, the environment and `-C` settings."""

from __future__ import annotations

from gpuwheel.config.globs import resolve_folders, resolve_sources
from gpuwheel.config.model import LoadedConfig
from gpuwheel.config.nvcc import nvcc_libraries
from gpuwheel.config.products import product_patterns
from gpuwheel.config.reader import load_config
from gpuwheel.config.resolved import host_libraries, kernel_groups, requirements

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
