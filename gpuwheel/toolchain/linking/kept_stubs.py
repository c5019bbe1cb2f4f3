"""Stub libraries in the cache: what the linker reads in place of libraries that only users have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.model.pins import contents_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.index.context import Context

__all__ = ["keep_stubs"]


def keep_stubs(stubs: Mapping[str, bytes], context: Context) -> Path:
    """A folder with these files, by path in it; another gpuwheel that writes other stubs has another folder.

    Raises:
        CacheError: the cache cannot be written.
    """

    def fill(folder: Path) -> None:
        for path, data in stubs.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def on_damage(problem: str) -> None:
        context.reporter.warn(f"libraries to link in the cache are damaged ({problem}): making them again")

    key = f"link-{contents_digest(stubs)[:32]}"
    return context.cache.publish_tree("sdk", key, fill, on_damage=on_damage)
