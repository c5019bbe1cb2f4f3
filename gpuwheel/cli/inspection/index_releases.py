"""Releases of distributions as the user's indexes have them: for what the table does not know."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import closing, contextmanager
from functools import cache, partial
from typing import IO, TYPE_CHECKING, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from gpuwheel._archives import Archive
from gpuwheel.audit.closure.search_entries import installed_folder
from gpuwheel.compatibility.distributions.releases import Content, Release, load_releases
from gpuwheel.errors import NetworkError
from gpuwheel.index.context import Traffic
from gpuwheel.index.pinned import PackageIndex
from gpuwheel.index.ranges import SparseFile
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import Transport, local_path
from gpuwheel.wheel.metadata import valid_requirements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.tags import Tag
    from packaging.version import Version

    from gpuwheel.compatibility.distributions.releases import Place, ReleaseSource, ReleaseTable
    from gpuwheel.index.pages import Link

__all__ = ["IndexReleases", "index_releases"]

_LIBRARY = re.compile(r"lib[\w.+-]+\.so(?:\.\d+)*")
_HINT = "the index or a proxy damages files: try again, or another index"


@contextmanager
def index_releases(environ: Mapping[str, str]) -> Iterator[ReleaseSource]:
    """The table, and beside it the indexes of the user's settings."""
    settings = read_index_settings(environ)
    with closing(Transport(settings, Traffic())) as transport:
        yield IndexReleases(load_releases(), PackageIndex(settings, transport), transport)


class IndexReleases:
    """The table, and what it does not have from the indexes: pages, and of a wheel its directory and METADATA.

    A wheel is read when a world has it, not before.
    """

    def __init__(self, table: ReleaseTable, index: PackageIndex, transport: Transport) -> None:
        self._table, self._index, self._transport = table, index, transport
        self._found: dict[tuple[str, Place], tuple[Release, ...] | None] = {}

    def is_bare(self, name: str) -> bool:
        """Whether the table says that a distribution brings nothing for others."""
        return self._table.is_bare(name)

    def releases(self, name: str, place: Place) -> tuple[Release, ...] | None:
        """Those that a place can install, oldest first; `None` for a distribution that no index has, or answers for."""
        known = self._table.releases(name, place)
        if known is not None:
            return known
        if (name, place) not in self._found:
            self._found[name, place] = self._listed(name, place)
        return self._found[name, place]

    def _listed(self, name: str, place: Place) -> tuple[Release, ...] | None:
        wheels: dict[Version, list[Link]] = defaultdict(list)
        try:
            links = [link for listing in self._index.listings(name) for link in listing.links]
        except NetworkError:
            return None
        for link in links:
            version = _installed_as(link, name, place)
            if version is not None:
                wheels[version].append(link)
        if not wheels:
            return None
        read = {version: cache(partial(self._read, name, files[0])) for version, files in wheels.items()}
        return tuple(Release(name, version, read[version]) for version in sorted(read))

    def _read(self, name: str, link: Link) -> Content:
        try:
            return self._parts(link)
        except (NetworkError, OSError):
            return Content({}, (), frozenset({name}))  # as if nobody had looked it up: it is not checked

    def _parts(self, link: Link) -> Content:
        local = local_path(link.url)
        if local is not None:
            with local.open("rb") as file:
                return self._content(file, link.filename, local.stat().st_size)
        size = self._transport.size(link.url)
        with SparseFile(partial(self._transport.span, link.url, size=size), size) as sparse:
            return self._content(cast("IO[bytes]", sparse), link.filename, size)

    def _content(self, file: IO[bytes], name: str, size: int) -> Content:
        archive = Archive(file, name, size, error=NetworkError, hint=_HINT, strict=False)
        folders: dict[str, list[str]] = defaultdict(list)
        metadata = b""
        for member in archive.members:
            folder, _, file_name = member.filename.rpartition("/")
            if folder.endswith(".dist-info") and file_name == "METADATA":
                metadata = archive.read(member)
            installed = installed_folder(member.filename)
            if installed is not None and _LIBRARY.fullmatch(file_name):
                folders[installed].append(file_name)
        requires = tuple(it for it in valid_requirements(metadata) if not self.is_bare(canonicalize_name(it.name)))
        return Content({folder: tuple(files) for folder, files in folders.items()}, requires, frozenset())


def _installed_as(link: Link, name: str, place: Place) -> Version | None:
    """The version of a wheel that a place installs; `None` for what it does not."""
    try:
        project, version, _, tags = parse_wheel_filename(link.filename)
        python = SpecifierSet(link.requires_python or "")
    except (InvalidWheelFilename, InvalidSpecifier):
        return None
    if project != name or version.is_prerelease or link.yanked or f"3.{place.python}.9" not in python:
        return None
    return version if any(_fits(tag, place) for tag in tags) else None


def _fits(tag: Tag, place: Place) -> bool:
    on_linux = tag.platform.startswith(("manylinux", "linux")) and tag.platform.endswith(place.machine)
    if tag.platform != "any" and not on_linux:
        return False
    own = f"cp3{place.python}"
    if tag.interpreter == "py3" or (tag.interpreter == own and tag.abi in {own, "none"}):
        return True
    word, minor = tag.interpreter[:3], tag.interpreter[3:]
    older = minor.isdigit() and int(minor) <= place.python
    return older and (word, tag.abi) in {("cp3", "abi3"), ("py3", "none"), ("cp3", "none")}
