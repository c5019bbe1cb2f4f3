"""Unpack a wheel without installing it."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

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
        ToolchainError: the file is no zip archive, is damaged, or names a member outside of `folder`.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                path = PurePosixPath(info.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
                    msg = f"{wheel.name} is not safe to unpack (it has a member named {info.filename!r})"
                    raise ToolchainError(msg)
                if info.is_dir() or any(fnmatchcase(path.name, pattern) for pattern in leave_out):
                    continue
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        msg = f"{wheel.name} is not a readable wheel ({error})"
        raise ToolchainError(msg) from error
