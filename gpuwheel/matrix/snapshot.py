"""The sources as they were when the build began: an sdist, unpacked where every cell is built from.

Edits in mid-run reach no cell, and machines that have only the sdist build the same.
"""

from __future__ import annotations

import copy
import os
import shutil
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel._endings import cut, reading
from gpuwheel._files import sha256_of
from gpuwheel.errors import ConfigError
from gpuwheel.wheel.naming import parse_sdist_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.version import Version

    from gpuwheel._cache import Cache
    from gpuwheel.model.reporter import Reporter

__all__ = ["SETTLED", "Snapshot", "extracted", "unpacked"]

SETTLED = 2.1
"""Seconds after which a build takes files as unchanged; what is younger, it does not keep for other builds."""


@dataclass(frozen=True)
class Snapshot:
    """The sources of one run."""

    sdist: Path
    sha256: str
    """Of the sdist."""
    root: Path
    """Where it is unpacked."""

    @property
    def version(self) -> Version:
        """That every wheel has to have, but for its local part."""
        return parse_sdist_name(self.sdist.name)[1]


@contextmanager
def unpacked(make: Callable[[Path], Path], project: Path, cache: Cache, reporter: Reporter) -> Iterator[Snapshot]:
    """Make an sdist and unpack it into a folder that depends on the project's path alone, for caches of compilers.

    What is there already stays untouched. Two runs of one project take turns, and nobody else knows where its sdist
    is: what a build in mid-run reads stays as it was.

    Args:
        make: writes the sdist into a folder, and says which file it is.
        project: the folder that it is made of.
        cache: where to unpack it.
        reporter: hears if another run is in the folder.

    Raises:
        CacheError: the cache cannot be written.
        ConfigError: it is no sdist.
    """

    def on_wait() -> None:
        reporter.info("waiting for another gpuwheel build of this project")

    with cache.workspace(f"sources of {project}", on_wait=on_wait) as folder, cache.scratch() as scratch:
        own, tree = scratch / "sdist", scratch / "tree"
        own.mkdir()
        tree.mkdir()
        sdist = make(own)
        hint = "report it, with the project if you can: gpuwheel made this file"
        with reading(f"{sdist.name} cannot be unpacked", "an sdist", error=ConfigError, hint=hint):
            root = extracted(sdist, tree)
        if _synchronise(root, folder):
            # Every file that is new was written before now, so nobody need wait longer than this.
            time.sleep(SETTLED)
        with sdist.open("rb") as file:
            yield Snapshot(sdist, sha256_of(file), folder)


def extracted(sdist: Path, scratch: Path) -> Path:
    """Unpack an sdist into an empty folder, and return the one folder in it.

    Raises:
        ConfigError: it holds what is no file, folder or link inside of it.
    """
    base = scratch.resolve()
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = lambda member, _: member  # newer Pythons want one; members are looked at here
        for member in archive:
            _check_member(member, base)
            # As tarfile's own filter does it, which Python has from 3.10.12 and 3.11.4 on: nobody's user, and of
            # permissions those alone that a build looks at.
            plain = copy.copy(member)
            plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            plain.uid, plain.gid, plain.uname, plain.gname = os.getuid(), os.getgid(), "", ""
            archive.extract(plain, base)
    (root,) = scratch.iterdir()  # PEP 625: one folder
    return root


def _check_member(member: tarfile.TarInfo, base: Path) -> None:
    """It is our own file, but what a project puts into an sdist is not: nothing may lead out of it."""
    name = PurePosixPath(member.name)
    stays = bool(name.parts) and not name.is_absolute() and ".." not in name.parts
    if stays:
        place = base / name
        # Nothing goes through a link or replaces anything, so the folder of a link is where its name says.
        stays = not any(base.joinpath(above).is_symlink() for above in name.parents)
        stays &= not os.path.lexists(place) or (member.isdir() and place.is_dir() and not place.is_symlink())
    if stays and member.issym():
        # Up first, if at all, and then down: behind another link, which may come later, `..` could be anywhere.
        target = PurePosixPath(member.linkname)
        up = next((number for number, part in enumerate(target.parts) if part != ".."), len(target.parts))
        stays = not target.is_absolute() and ".." not in target.parts[up:] and up <= len(name.parts) - 2
    if not (member.isreg() or member.isdir() or member.issym()) or not stays:
        what = f"{member.name} -> {member.linkname}" if member.linkname else member.name
        msg = f"{cut(what)} is in the sdist (expected files, folders, and links that stay inside)"
        raise ConfigError(msg, hint="name it in sdist.exclude of [tool.scikit-build]")


def _synchronise(source: Path, target: Path) -> bool:
    """Make `target` hold what `source` does, leaving equal files as they are; say whether anything was written."""
    wanted = {path.relative_to(source): path for path in sorted(source.rglob("*"))}
    for path in sorted(target.rglob("*"), reverse=True):
        new = wanted.get(path.relative_to(target))
        if new is None or _kind(new) != _kind(path):
            _remove(path)
    changed = False
    for name, path in wanted.items():
        here = target / name
        if path.is_dir() and not path.is_symlink():
            here.mkdir(exist_ok=True)
        elif not _same(path, here):
            shutil.move(path, here)
            changed = True
    return changed


def _kind(path: Path) -> int:
    return path.lstat().st_mode


def _same(path: Path, here: Path) -> bool:
    if path.is_symlink():
        return here.is_symlink() and path.readlink() == here.readlink()
    return here.is_file() and not here.is_symlink() and path.read_bytes() == here.read_bytes()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
