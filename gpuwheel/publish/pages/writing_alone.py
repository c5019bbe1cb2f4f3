"""One writer of an index at a time, and what a killed one left."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gpuwheel._cache.folders import locked
from gpuwheel.errors import CacheError, FileError
from gpuwheel.publish.pages.page_writer import is_unfinished_copy
from gpuwheel.publish.pages.records import state_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.model.reporter import Reporter

__all__ = ["writing_alone"]

_PART = re.compile(
    r"\.(index\.html|index\.json|wheels\.json|yanked\.json|.+\.whl\.metadata)\.[0-9a-f]{16}\.part", re.ASCII
)
"""Files of an index that are not finished (`gpuwheel._files`); a wheel may be one that somebody is building."""


@contextmanager
def writing_alone(index: Path, reporter: Reporter) -> Iterator[bool]:
    """Of several writers of one index one works, and the others wait; it is told whether the last one was cut off.

    Raises:
        FileError: the folder is on a file system without locks.
        OSError: it cannot be written.
    """
    path = state_path(index)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")

    def told() -> None:
        reporter.info(f"another gpuwheel writes {index}: waiting for it")

    try:
        with locked(path.with_suffix(".lock"), index, told):
            is_after_a_cut = unfinished.exists()
            if is_after_a_cut:
                _tidy(index)
            unfinished.touch()
            yield is_after_a_cut
            unfinished.unlink()
    except CacheError as error:
        msg = f"{index} is on a file system without locks (expected one on which a second writer can be kept out)"
        raise FileError(msg, hint="write the index on a local disk, and copy it from there") from error


def _tidy(index: Path) -> None:
    """Remove what a writer that was killed has not finished."""
    for path in list(index.rglob(".*.part")):  # first all, for folders go too
        if _PART.fullmatch(path.name) is not None or is_unfinished_copy(path.relative_to(index).as_posix()):
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # if nothing else is in it
