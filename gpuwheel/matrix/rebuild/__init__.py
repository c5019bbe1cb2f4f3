"""Whether a wheel is what its sdist and its lock file give: built again, and compared."""

from __future__ import annotations

from gpuwheel.matrix.rebuild.differences import Difference
from gpuwheel.matrix.rebuild.rebuilding import RebuildRequest, Rebuilt, checked, rebuilt

__all__ = ["Difference", "RebuildRequest", "Rebuilt", "checked", "rebuilt"]
