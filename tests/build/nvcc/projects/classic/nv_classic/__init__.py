"""One function."""

import torch  # noqa: F401, TID251 (brings the libraries that the module needs)

from nv_classic._C import scale

__all__ = ["scale"]
