"""The smallest project with a kernel and a library, as tests of commands and hooks write it."""

from __future__ import annotations

__all__ = ["PYPROJECT"]

PYPROJECT = """\
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0", "9.0+PTX"]

[tool.gpuwheel.kernels.k]
sources = ["k.cu"]

[tool.gpuwheel.extensions."ops._C"]
sources = ["ops.cpp"]
kernels = ["k"]
"""
