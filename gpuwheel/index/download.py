"""Download a whole pinned file: resumed where it was cut, checked by digest."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel._endings import because, cut
from gpuwheel._files import sha256_of
from gpuwheel._limits import DOWNLOAD
from gpuwheel.errors import NetworkError
from gpuwheel.index.transport import InterruptedTransferError, local_path

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.index.pinned import FoundFile
    from gpuwheel.index.transport import Transport
    from gpuwheel.model.reporter import Reporter

__all__ = ["download"]


def download(found: FoundFile, folder: Path, *, transport: Transport, reporter: Reporter) -> Path:
    """The file on disk with the pinned digest: in `folder`, or in place if the index is a folder.

    What an earlier call left unfinished in `folder` is continued; one process at a time may use the folder.

    Raises:
        NetworkError: it cannot be had, is cut short each time, or is another file than the pinned one.
        OSError: `folder` cannot be written.
    """
    _check_name(found)
    local = local_path(found.url)
    if local is not None:
        _check_regular(found, local)
        _check(found, local)
        # Used where it lies: a folder of wheels may have gigabytes.
        return local
    path = folder / found.file.filename
    # By digest: what an earlier call left under that name counts only if it is the pinned file.
    if path.is_file() and _sha256(path) == found.file.sha256:
        return path
    # The digest is in the name: a pin that changed must not go on with bytes of the old file.
    part = path.with_name(f"{path.name}.{found.file.sha256[:16]}.part")
    try:
        _fetch(found, part, transport, reporter)
        _check(found, part)
    except InterruptedTransferError:
        raise  # a later call goes on with what came
    except NetworkError:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)  # no `atomic_file`: a download that was cut stays, under a name that a later call finds
    return path


def _check_name(found: FoundFile) -> None:
    """The name of a file, and no path that leads out of the folder: pages and lock files may name anything."""
    name = found.file.filename
    if name in {"", ".", ".."} or "/" in name or "\\" in name or not name.isprintable():
        msg = f"{cut(ascii(name))} from {cut(found.index)} is no name of a file"
        raise NetworkError(msg, hint="do not use this index or lock file")


def _fetch(found: FoundFile, path: Path, transport: Transport, reporter: Reporter) -> None:
    size = found.file.size
    most = size or DOWNLOAD.value
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
                # The server sent everything, although asked for the rest (RFC 9110, 14.2).
                if body.start != done:
                    progress.advance(-done)
                    _empty(file)
                for chunk in body.chunks:
                    if file.tell() + len(chunk) > most:
                        raise _too_long(found, most)
                    file.write(chunk)
                    progress.advance(len(chunk))

        transport.retrying(transfer)


def _too_long(found: FoundFile, most: int) -> NetworkError:
    expected = f"expected {most:,} bytes" if found.file.size else DOWNLOAD.passed("more")
    msg = f"{found.file.filename} from {found.index} is longer than it should be ({expected})"
    return NetworkError(
        msg, hint="the index holds another file, or does not end: set GPUWHEEL_INDEX_URL to another one"
    )


def _check_regular(found: FoundFile, path: Path) -> None:
    """A file on this machine, and not a device or a pipe, which may never end."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError) as error:
        msg = f"{cut(found.url)} cannot be read ({because(error)})"
        raise NetworkError(msg, hint="correct find-links or the index's URL") from error
    if not is_file:
        msg = f"{cut(found.url)} is not a regular file (found a folder, a device or a pipe)"
        raise NetworkError(msg, hint="correct find-links or the index's URL")


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
    with path.open("rb") as file:
        return sha256_of(file)
