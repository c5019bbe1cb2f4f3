"""A static index of packages: pages for pip and uv, and the facts from which people and programs choose a wheel."""

from gpuwheel.publish.pages.indexing import IndexRequest, IndexSummary, LeftOut, write_index
from gpuwheel.publish.pages.offered import FolderSource
from gpuwheel.publish.pages.placing import Keep
from gpuwheel.publish.pages.serving import index_server
from gpuwheel.publish.pages.verifying import Verified, verify_index

__all__ = [
    "FolderSource",
    "IndexRequest",
    "IndexSummary",
    "Keep",
    "LeftOut",
    "Verified",
    "index_server",
    "verify_index",
    "write_index",
]
