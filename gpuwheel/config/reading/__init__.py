"""From pyproject.toml, the environment and `-C` to typed values: sources, converters, mistakes."""
