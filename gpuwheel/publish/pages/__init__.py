"""A static index of packages: pages for pip and uv, and the facts from which people and programs choose a wheel."""

from gpuwheel.publish.pages.indexing import IndexRequest, IndexSummary, LeftOut, write_index
from gpuwheel.publish.pages.offered import FolderSource
from gpuwheel.publish.pages.placing import Keep

__all__ = ["FolderSource", "IndexRequest", "IndexSummary", "Keep", "LeftOut", "write_index"]
