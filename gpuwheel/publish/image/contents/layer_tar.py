"""The tar of a layer, which depends on what is in it alone: sorted, one time, numbers for users, every parent folder.

POSIX.1-2001 interchange format (pax), as `tarfile` writes it and the image specification asks for.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.errors import AuditError
from gpuwheel.publish.image.contents.installed import folder
from gpuwheel.wheel.archive import DEFAULT_EPOCH, as_recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gpuwheel.publish.image.compression import Packer
    from gpuwheel.publish.image.contents.installed import ImageFile
    from gpuwheel.publish.image.contents.opened_wheel import OpenWheel

__all__ = ["FILE_TIME", "Written", "write_tar"]

FILE_TIME = DEFAULT_EPOCH
"""Of every file of every layer, whatever SOURCE_DATE_EPOCH says: else no two projects would share a layer. It is the
oldest time that a ZIP archive can say, for those who pack an installed tree."""

_BLOCK = tarfile.BLOCKSIZE
_WORTH_COPYING = 256
"""Bytes from which a stream is copied: head and end of a gzip member take 18."""


@dataclass(frozen=True)
class Written:
    """A tar that was written."""

    diff_id: str
    """Digest of the tar before it was packed: `sha256:...`."""
    size: int
    """Bytes of the tar."""
    files: int


class _Tar:
    """Counts and hashes what goes to a packer."""

    def __init__(self, packer: Packer) -> None:
        self._packer = packer
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._note(data)
        self._packer.write(data)

    def copy(self, pairs: Iterable[tuple[bytes, bytes]], crc: int, size: int) -> Iterator[bytes]:
        for block in self._packer.copy(pairs, crc, size):
            self._note(block)
            yield block

    def _note(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)

    def end(self) -> str:
        self.write(bytes(2 * _BLOCK))
        self._packer.close()
        return f"sha256:{self._digest.hexdigest()}"


def write_tar(contents: Sequence[tuple[OpenWheel | None, Sequence[ImageFile]]], packer: Packer) -> Written:
    """Write the files of some wheels as one tar. A path that several have is written once: `collisions` came before.

    Args:
        contents: wheels that are open, each with its files; `None` for files that are made here.
        packer: takes the tar.

    Raises:
        AuditError: a wheel is damaged, or holds another file than its RECORD says.
    """
    found: dict[str, tuple[OpenWheel | None, ImageFile]] = {}
    for wheel, files in contents:
        for file in files:
            found.setdefault(file.path, (wheel, file))
    for path in _parents(found):
        found[path] = (None, folder(path))
    tar = _Tar(packer)
    for path in sorted(found):
        wheel, file = found[path]
        tar.write(_header(file))
        if file.member is not None and wheel is not None:
            _write_member(wheel, file, tar)
        else:
            tar.write(file.data)
        tar.write(bytes(-_size(file) % _BLOCK))
    return Written(tar.end(), tar.size, len(found))


def _parents(paths: Iterable[str]) -> set[str]:
    parents: set[str] = set()
    known = set(paths)
    for path in known:
        at = path.rfind("/")
        while at > 0 and path[:at] not in parents:
            parents.add(path[:at])
            at = path.rfind("/", 0, at)
    return parents - known


def _size(file: ImageFile) -> int:
    return len(file.data) if file.member is None else file.member.file_size


def _header(file: ImageFile) -> bytes:
    info = tarfile.TarInfo(file.path)
    info.mode, info.uid, info.gid = file.mode, file.owner, file.group
    info.mtime, info.size = FILE_TIME, _size(file)
    if file.is_folder:
        info.type = tarfile.DIRTYPE
    elif file.target is not None:
        info.type, info.linkname = tarfile.SYMTYPE, file.target
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _write_member(wheel: OpenWheel, file: ImageFile, tar: _Tar) -> None:
    member = file.member
    if member is None:
        return
    digest = hashlib.sha256()
    if member.compress_type == zipfile.ZIP_DEFLATED and member.compress_size >= _WORTH_COPYING:
        for block in tar.copy(wheel.archive.pairs(member), member.CRC, member.file_size):
            digest.update(block)
    else:
        for block in wheel.archive.open(member):
            digest.update(block)
            tar.write(block)
    if as_recorded(digest.digest()) != file.digest:
        msg = f"{wheel.name} holds {cut(member.filename)} with another digest than its RECORD says"
        raise AuditError(msg, hint="download or build the file again")
