"""The `gpuwheel` command."""

from gpuwheel.cli.app import main

__all__ = ["main"]
