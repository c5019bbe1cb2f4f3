"""Download a whole pinned file: resumed where it was cut, checked by digest."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel.errors import NetworkError
from gpuwheel.toolchain.transport import local_path

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.reporter import Reporter
    from gpuwheel.toolchain.index import FoundFile
    from gpuwheel.toolchain.transport import Transport

__all__ = ["download"]

_BLOCK = 1 << 20


def download(found: FoundFile, folder: Path, *, transport: Transport, reporter: Reporter) -> Path:
    """The file on disk with the pinned digest: in `folder`, or in place if the index is a folder.

    What an earlier call left unfinished in `folder` is continued; one process at a time may use the folder.

    Raises:
        NetworkError: it cannot be had, is cut short each time, or is another file than the pinned one.
        OSError: `folder` cannot be written.
    """
    local = local_path(found.url)
    if local is not None:
        _check(found, local)
        return local
    path = folder / found.file.filename
    if path.is_file() and _sha256(path) == found.file.sha256:
        return path
    part = path.with_name(f"{path.name}.{found.file.sha256[:16]}.part")
    _fetch(found, part, transport, reporter)
    try:
        _check(found, part)
    except NetworkError:
        part.unlink()
        raise
    part.replace(path)
    return path


def _fetch(found: FoundFile, path: Path, transport: Transport, reporter: Reporter) -> None:
    size = found.file.size
    with (
        reporter.progress(f"downloading {found.file.filename}", size or None) as progress,
        path.open("ab") as file,
    ):
        if file.tell() > size:
            _empty(file)
        progress.advance(file.tell())
        if size and file.tell() == size:
            return

        def transfer() -> None:
            done = file.tell()
            with transport.body(found.url, start=done) as body:
                if body.start != done:
                    progress.advance(-done)
                    _empty(file)
                for chunk in body.chunks:
                    file.write(chunk)
                    progress.advance(len(chunk))

        transport.retrying(transfer)


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _check(found: FoundFile, path: Path) -> None:
    pinned = found.file
    size = path.stat().st_size
    if pinned.size and size != pinned.size:
        msg = f"{pinned.filename} from {found.index} has the wrong size ({size} bytes, expected {pinned.size})"
        raise NetworkError(msg, hint="the download was cut short or the index holds another file: try again")
    digest = _sha256(path)
    if digest != pinned.sha256:
        msg = f"{pinned.filename} from {found.index} is not the pinned file (sha256 {digest}, expected {pinned.sha256})"
        hint = "set GPUWHEEL_INDEX_URL to an index with the original files, such as https://pypi.org/simple"
        raise NetworkError(msg, hint=hint)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
