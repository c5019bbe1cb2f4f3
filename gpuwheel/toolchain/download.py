"""Download a whole pinned file: resumed where it was cut, checked by digest."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

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

    Raises:
        NetworkError: it cannot be had, is cut short each time, or is another file than the pinned one.
        OSError: `folder` cannot be written.
    """
    path = local_path(found.url)
    if path is None:
        path = folder / found.file.filename
        _fetch(found, path, transport, reporter)
    _check(found, path)
    return path


def _fetch(found: FoundFile, path: Path, transport: Transport, reporter: Reporter) -> None:
    with (
        reporter.progress(f"downloading {found.file.filename}", found.file.size) as progress,
        path.open("wb") as file,
    ):

        def transfer() -> None:
            done = file.tell()
            with transport.body(found.url, start=done) as body:
                if body.start != done:
                    progress.advance(-done)
                    file.seek(0)
                    file.truncate()
                for chunk in body.chunks:
                    file.write(chunk)
                    progress.advance(len(chunk))

        transport.retrying(transfer)


def _check(found: FoundFile, path: Path) -> None:
    pinned = found.file
    size = path.stat().st_size
    if size != pinned.size:
        msg = f"{pinned.filename} from {found.index} has the wrong size ({size} bytes, expected {pinned.size})"
        raise NetworkError(msg, hint="the download was cut short or the index holds another file: try again")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != pinned.sha256:
        msg = (
            f"{pinned.filename} from {found.index} is not the pinned file "
            f"(sha256 {digest.hexdigest()}, expected {pinned.sha256})"
        )
        hint = "set GPUWHEEL_INDEX_URL to an index with the original files, such as https://pypi.org/simple"
        raise NetworkError(msg, hint=hint)
