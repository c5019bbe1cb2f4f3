"""Operators for one torch and one Python: nothing of this package's wheels can be collapsed."""

import torch  # noqa: F401, TID251 (brings the libraries that the module needs)

from matrix_ops._C import axpby, gather_rows, gelu, histogram, rms_norm, rotate_pairs, row_max, row_scan

__all__ = ["axpby", "gather_rows", "gelu", "histogram", "rms_norm", "rotate_pairs", "row_max", "row_scan"]
