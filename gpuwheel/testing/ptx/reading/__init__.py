"""Text of PTX to values of `syntax`: a module is scanned for its functions, each of which is read when asked for."""

from __future__ import annotations

from gpuwheel.testing.ptx.reading.ptx_modules import function, function_address, read_module

__all__ = ["function", "function_address", "read_module"]
