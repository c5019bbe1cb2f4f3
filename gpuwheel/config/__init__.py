"""What the project asks for: `[tool.gpuwheel]`, the environment and `-C` settings."""
