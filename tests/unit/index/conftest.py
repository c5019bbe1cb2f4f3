"""The index that these tests ask."""

from package_index import context, environ, index, log

__all__ = ["context", "environ", "index", "log"]
