"""Download the index packages of a lock file, for an installer on a machine without a network."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from gpuwheel.index.download import download
from gpuwheel.index.pinned import PackageIndex
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import Transport
from gpuwheel.lock.check import selected
from gpuwheel.model.pins import PinnedFile

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.index.context import Context
    from gpuwheel.lock.file import Lock

__all__ = ["fetch_packages"]


def fetch_packages(lock: Lock, folder: Path, context: Context) -> None:
    """Put the wheels that this Python takes into `folder`; those that are there with their digest stay.

    They come from the user's index, whatever index the lock was written with: the digest decides.

    Raises:
        LockError: the lock was not made for this Python and machine.
        NetworkError: a file cannot be had, or is not the locked one.
        OSError: `folder` cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = read_index_settings(context.environ)
    with closing(Transport(settings, context.traffic, context.reporter.info)) as transport:
        index = PackageIndex(settings, transport)
        for package, wheel in selected(lock):
            file = PinnedFile(wheel.filename, wheel.hashes["sha256"], wheel.size or 0)
            found = index.find(package.name, [file])
            path = download(found, folder, transport=transport, reporter=context.reporter)
            if path.parent != folder:  # the index is a folder
                shutil.copyfile(path, folder / file.filename)
            context.reporter.info(f"{file.filename} ({found.index})")
