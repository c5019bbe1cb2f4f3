"""The only writer: files appear under their name when they are complete, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HashedFile", "atomic_file", "write_if_changed"]


class HashedFile:
    """A file being written, and the digest of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """Append `data`."""
        self._digest.update(data)
        return self._file.write(data)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of everything written."""
        return self._digest.hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[HashedFile]:
    """Write a temporary file beside `path` and rename it at the end; an error or an interrupt leaves nothing.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        error.filename = os.fspath(path)  # nobody knows the temporary name
        raise
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield HashedFile(file)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private to the user; a wheel is for everybody, whatever the umask.
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in {None, name}:
            error.filename, error.filename2 = os.fspath(path), None
        raise


def write_if_changed(path: Path, content: bytes) -> None:
    """Write `content` in a folder that is made where it is not there; an unchanged file keeps its time.

    So nothing is built again for a generated file that is as it was.

    Raises:
        OSError: as for `atomic_file`.
    """
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(content)
