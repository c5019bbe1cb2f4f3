"""Bring pinned files from the package index: whole wheels, unpacked, and headers cut out of a wheel.

To cut, the central directory of the wheel and the header members come by byte ranges; an index that does not serve
ranges costs the whole wheel once. What was cut is held against the pinned digest of the tree.
"""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from gpuwheel._archives import Archive
from gpuwheel.errors import NetworkError
from gpuwheel.index.download import download
from gpuwheel.index.pinned import PackageIndex
from gpuwheel.index.ranges import SparseFile, member_spans
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import RangesUnsupportedError, Transport, local_path
from gpuwheel.index.unpack import unpack
from gpuwheel.model.pins import contents_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.index.context import Context
    from gpuwheel.index.pinned import FoundFile
    from gpuwheel.model.pins import HeadersPin, PinnedFile

__all__ = ["provision_headers", "provision_wheels"]


def provision_wheels(
    files: Mapping[str, PinnedFile], folder: Path, context: Context, *, leave_out: Sequence[str]
) -> None:
    """Download one file of each project and unpack them all into `folder`.

    Args:
        files: normalised project name -> the file to take.
        folder: becomes what site-packages would be; what was downloaded lies beside it until all is unpacked, so that
            a later call goes on with it. One process at a time may use it.
        context: environment, reporter.
        leave_out: patterns of file names that nobody will need.

    Raises:
        NetworkError: a file cannot be had, or is not the pinned one.
        CacheError: the cache cannot be written.
    """
    # Beside and not inside: what lies in the folder is what the cache will keep.
    downloads = folder.with_name(f"{folder.name}.downloads")
    downloads.mkdir(exist_ok=True)
    with _index(context) as (index, transport):
        for project, file in files.items():
            found = index.find(project, [file])
            wheel = download(found, downloads, transport=transport, reporter=context.reporter)
            unpack(wheel, folder, leave_out=leave_out)
    shutil.rmtree(downloads)


def provision_headers(pin: HeadersPin, context: Context) -> tuple[dict[str, bytes], str]:
    """The headers that `pin` names, by their path in the include folder, and how they came.

    Raises:
        NetworkError: no wheel of the pin can be had, or its headers are not the pinned ones.
        CacheError: the cache cannot be written.
    """
    reporter = context.reporter
    with _index(context) as (index, transport):
        found = index.find(pin.name, pin.files)
        # Of a file on the disk, ranges are simply reads.
        if local_path(found.url) is None:
            reporter.info(f"cutting the headers of {pin.requirement} out of its wheel")
            try:
                return _cut_by_ranges(found, pin, transport), f"{found.index}, by ranges"
            # Mirrors and proxies often answer 200 with everything (RFC 9110, 14.2: a server may ignore Range).
            except RangesUnsupportedError as error:
                reporter.warn(f"{error.message}: downloading the whole wheel, {found.file.size / 1e6:.0f} MB")
        with context.cache.scratch() as scratch:
            wheel = download(found, scratch, transport=transport, reporter=reporter)
            with wheel.open("rb") as file:
                return _cut(file, found, pin), f"{found.index}, whole wheel"


@contextmanager
def _index(context: Context) -> Iterator[tuple[PackageIndex, Transport]]:
    settings = read_index_settings(context.environ)
    with closing(Transport(settings, context.traffic, context.reporter.info)) as transport:
        yield PackageIndex(settings, transport), transport


def _cut_by_ranges(found: FoundFile, pin: HeadersPin, transport: Transport) -> dict[str, bytes]:
    size = found.file.size
    with SparseFile(partial(transport.span, found.url, size=size), size) as file:
        return _cut(cast("IO[bytes]", file), found, pin)


def _cut(file: IO[bytes], found: FoundFile, pin: HeadersPin) -> dict[str, bytes]:
    """The members that `pin` names, which are the pinned ones."""
    subject = f"{found.file.filename} from {found.index}"
    hint = "the index or a proxy damages files: try again, or another index"
    archive = Archive(file, subject, found.file.size, error=NetworkError, hint=hint)
    members = {info: path for info in archive.members if (path := pin.path_of(info.filename))}
    if isinstance(file, SparseFile):
        # Thousands of headers in a few requests: neighbours lie next to each other in the archive.
        file.prefetch(member_spans(archive.members, members, archive.directory_at))
    contents = {path: archive.read(info) for info, path in members.items()}
    digest = contents_digest(contents)
    if digest != pin.digest:
        msg = (
            f"the headers in {found.file.filename} from {found.index} are not the pinned ones "
            f"({len(contents)} files with digest {digest}, expected {pin.file_count} with {pin.digest})"
        )
        raise NetworkError(msg, hint="set GPUWHEEL_INDEX_URL to an index with the original files")
    return contents
