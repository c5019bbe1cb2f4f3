"""Two functions."""

from nv_module._C import device_count, fill

__all__ = ["device_count", "fill"]
