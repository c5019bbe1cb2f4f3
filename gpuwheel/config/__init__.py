"""What the project asks for: `[tool.gpuwheel]`, the environment and `-C` settings."""

from __future__ import annotations

from gpuwheel.config.files.globs import resolve_folders, resolve_sources
from gpuwheel.config.files.products import product_patterns
from gpuwheel.config.files.resolved import compiled_tables, project_files, requirements
from gpuwheel.config.model import LoadedConfig
from gpuwheel.config.reading.reader import load_config

__all__ = [
    "LoadedConfig",
    "compiled_tables",
    "load_config",
    "product_patterns",
    "project_files",
    "requirements",
    "resolve_folders",
    "resolve_sources",
]
