"""Cells of mode `nvcc` are built here too."""

from __future__ import annotations

from cmake_looks import cmake_may_look_for_debians_toolkit

__all__ = ["cmake_may_look_for_debians_toolkit"]
