"""Build backend and tools for GPU Python extensions: one wheel for every Python, torch and CUDA driver."""

__version__ = "0.1.0"
__all__ = ["__version__"]
