"""What pyproject.toml says outside of `[tool.gpuwheel]`."""
