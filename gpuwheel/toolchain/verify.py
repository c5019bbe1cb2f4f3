"""Folders of the cache with unpacked wheels: brought once, looked over on each use, made again where damaged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gpuwheel._cache import check_programs, index_problem
from gpuwheel.toolchain.pinned_files import tree_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.index.context import Context
    from gpuwheel.model.pins import Pin, PinnedFile

__all__ = ["UnpackedWheels"]


@dataclass(frozen=True)
class UnpackedWheels:
    """What is to be in the folder."""

    what: str
    """For messages: "nvcc of CUDA 13.0"."""
    files: Mapping[Pin, PinnedFile]
    layout: str
    """Changes with what else is done to the folder; a part of its key."""
    leave_out: tuple[str, ...]
    """Patterns (`fnmatch`) of file names that nobody will need."""
    complete: Callable[[Path], None] = lambda _: None
    """Adds what the wheels lack, and raises where they are not what they should be."""
    runs: bool = True
    """Whether there are programs in it, or libraries that programs load."""

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return tree_key(self.files, self.layout)

    def cached(self, cache: Cache) -> Path | None:
        """The folder, if the cache has it, looked over or not; nothing is downloaded."""
        return cache.lookup("toolchains", self.key)

    def provide(self, context: Context) -> tuple[Path, str]:
        """The folder, from the cache or the package index, and which of them it was.

        Raises:
            NetworkError: a file has to be downloaded and cannot.
            CacheError: the cache cannot be written, or programs in it cannot be started.
        """
        # A cache on a file system mounted noexec would fail with "permission denied", minutes later.
        if self.runs:
            check_programs(context.cache.root, self.what)
        found_via = "cache"
        reporter = context.reporter

        def fill(folder: Path) -> None:
            # HTTP and its libraries are loaded here, and not by a build that finds everything in place.
            from gpuwheel.toolchain.provision import provision_wheels  # noqa: PLC0415

            nonlocal found_via
            found_via = "index, cached"
            size = sum(file.size for file in self.files.values())
            reporter.info(f"downloading {self.what}, {size / 1e6:.0f} MB")
            files = {pin.name: file for pin, file in self.files.items()}
            provision_wheels(files, folder, context, leave_out=self.leave_out)
            self.complete(folder)

        folder = context.cache.publish_tree(
            "toolchains",
            self.key,
            fill,
            check=index_problem,
            on_wait=partial(reporter.info, f"waiting for another build that is downloading {self.what}"),
            on_damage=lambda problem: reporter.warn(
                f"{self.what} in the cache is damaged ({problem}): downloading it again"
            ),
        )
        return folder, found_via
