"""Unpack a wheel without installing it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel._archives import Archive
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["unpack"]


def unpack(wheel: Path, folder: Path, *, leave_out: Sequence[str]) -> None:
    """Extract the members of `wheel` into `folder`, as an installer puts them into site-packages.

    Args:
        wheel: a wheel of which nothing needs installing but its files (no `.data`, no scripts).
        folder: several wheels may share one.
        leave_out: patterns (`fnmatch`) of file names that nobody will need.

    Raises:
        ToolchainError: the file is no ZIP archive, is damaged, passes a bound, or names a member outside of `folder`.
        OSError: `folder` cannot be written.
    """
    hint = "run it again: the file is downloaded anew"
    with wheel.open("rb") as raw:
        archive = Archive(raw, wheel.name, wheel.stat().st_size, error=ToolchainError, hint=hint)
        for info in archive.members:
            path = PurePosixPath(info.filename)
            if any(fnmatchcase(path.name, pattern) for pattern in leave_out):
                continue
            # Safe: `Archive` has refused names that lead out of the folder.
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                file.writelines(archive.open(info))
