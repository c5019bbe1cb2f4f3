"""Writes the static index of a folder of wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from package_index import Log

from gpuwheel.compatibility import load_tables
from gpuwheel.publish.pages import FolderSource, IndexRequest, IndexSummary, write_index

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["written"]


def written(folder: Path, log: Log | None = None, **asked: Any) -> IndexSummary:  # noqa: ANN401
    """Into the folder itself, unless `index` or `sources` say otherwise; `asked` are fields of `IndexRequest`."""
    index = asked.pop("index", folder)
    sources = asked.pop("sources", None) or [FolderSource(folder, index)]
    return write_index(IndexRequest(index=index, sources=sources, **asked), load_tables(), log or Log())
