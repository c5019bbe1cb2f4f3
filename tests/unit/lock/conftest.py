"""The index that locked files come from."""

from package_index import context, crt_pin, environ, index, log, pins, torch_pin

__all__ = ["context", "crt_pin", "environ", "index", "log", "pins", "torch_pin"]
