"""The only writer, whose files appear under their name when they are complete, or not at all; digests of files."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

__all__ = ["HashedFile", "atomic_file", "held_folder", "sha256_of", "write_if_changed"]

_BLOCK = 1 << 20


class HashedFile:
    """A file being written, and the digest of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self.unhashed = file
        """The file itself, to write to where nobody asks for the digest."""
        self._digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """Append `data`."""
        self._digest.update(data)
        return self.unhashed.write(data)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of everything written."""
        return self._digest.hexdigest()


def sha256_of(file: BinaryIO | FileIO) -> str:
    """The hexadecimal digest of what is left of an open file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()  # Python 3.11 has hashlib.file_digest
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_file(
    path: Path, *, folder: Path | None = None, mode: int | None = 0o644, durable: bool = True
) -> Iterator[HashedFile]:
    """Write a temporary file and rename it to `path` at the end; an error or an interrupt leaves nothing.

    Args:
        path: of the finished file.
        folder: of the temporary one, on the same disk; beside `path` unless given.
        mode: of the finished file: a wheel is for everybody, whatever the umask. `None`: what the umask leaves.
        durable: whether the content is on the disk before it has its name. Without it, a power cut may leave an empty
            file, and a slow disk makes nobody wait: for what is checked when it is read, and is no loss.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    prefix = path.name if path.name.startswith(".") else f".{path.name}"
    temporary = (folder or path.parent) / f"{prefix}.{secrets.token_hex(8)}.part"
    try:
        # x: made anew, never through a link that somebody put there.
        with temporary.open("xb") as file:
            yield HashedFile(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        # rename(2) is atomic within one file system: readers see the old file or the new one.
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in {None, os.fspath(temporary)}:
            error.filename, error.filename2 = os.fspath(path), None  # nobody knows the temporary name
        raise


@contextmanager
def held_folder(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep others out of a folder until the block ends, or this process, however it does.

    The lock is on the folder itself: a file for it would be a stranger among what is kept there. Yields whether it is
    held: not where somebody else holds it and `wait` is false, nor on a file system without locks.

    Raises:
        OSError: there is no such folder.
    """
    import fcntl  # noqa: PLC0415 (POSIX)

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        is_held = False
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = True
        yield is_held
    finally:
        os.close(handle)


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
