"""Small setup.py files in the shapes of public projects', written for these tests."""

from __future__ import annotations

from shapes import attention, models, vision
from shapes.shape import Shape

__all__ = ["ALL", "Shape"]

ALL = [*attention.SHAPES, *vision.SHAPES, *models.SHAPES]
