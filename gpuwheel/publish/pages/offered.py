"""Files that a source offers to an index: where each lies, and by what it is known again without being read."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gpuwheel.errors import FileError
from gpuwheel.publish.pages.yanks import SIDECAR, reason_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["FolderSource", "Offered", "Source", "identity_of", "is_release_file"]

_OF_COPIES = re.compile(r"[0-9a-f]{16}", re.ASCII)
_VARIANTS = re.compile(r"[A-Za-z0-9._]+-[A-Za-z0-9._+!]+-variants\.json", re.ASCII)


@dataclass(frozen=True)
class Offered:
    """One file of a source."""

    filename: str
    identity: str
    """Changes when the file does."""
    uploaded: float
    """When it was put there, seconds since 1970."""
    within: str
    """Its path below the source, with forward slashes."""
    path: Path | None = None
    """Where it lies on this machine; `None`: elsewhere."""
    url: str | None = None
    """Where everybody has it from; `None`: that depends on where the source is served."""
    sha256: str | None = None
    """As the source states it."""
    yanked: bool | str = False
    provenance: str | None = None
    """The URL of its attestations (PEP 740)."""
    has_attestations: bool = False
    """Whether they lie beside it, as `NAME.provenance`."""


class Source(Protocol):
    """A place with wheels and sdists."""

    def offered(self) -> Iterator[Offered]:
        """What is there, in a stable order.

        Raises:
            GpuwheelError: that cannot be told.
        """

    def local(self, offered: Offered) -> AbstractContextManager[Path]:
        """The file on this machine, under its own name, while it is read.

        Raises:
            GpuwheelError: it cannot be had.
        """

    def metadata(self, offered: Offered) -> bytes | None:
        """What is served as METADATA beside a file that stays elsewhere; `None`: nothing, or it is put there here."""


def identity_of(stat: os.stat_result) -> str:
    """The identity of a file on this machine: who writes into it, or puts another there, changes it."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"


def is_release_file(name: str) -> bool:
    """Whether indexes list a file of this name: wheels, sdists (PEP 625), and what tells variants apart (PEP 825)."""
    return name.endswith((".whl", ".tar.gz")) or _VARIANTS.fullmatch(name) is not None


class FolderSource:
    """The files in a folder and the folders in it; hidden ones are passed over, and so is an index that is in it."""

    def __init__(self, folder: Path, index: Path, warn: Callable[[str], object] = str) -> None:
        """Look into `folder`; `warn` is told of a folder behind a link, into which nobody looks."""
        self.folder, self._index, self._warn = folder, index.resolve(), warn

    def offered(self) -> Iterator[Offered]:
        """Documented by the Protocol."""
        for folder, names, files in os.walk(self.folder, onerror=_raise):
            here, beside = Path(folder), set(files)
            names[:] = sorted(n for n in names if not n.startswith(".") and not self._is_own((here / n).resolve()))
            for name in names:
                if (here / name).is_symlink():
                    self._warn(f"{here / name} is a link to a folder: what is in it is not listed")
            for name in sorted(n for n in files if is_release_file(n) and not n.startswith(".")):
                path = here / name
                try:
                    stat = path.stat()
                except FileNotFoundError:  # removed meanwhile, or a link to nothing
                    continue
                yield Offered(
                    filename=name,
                    identity=identity_of(stat),
                    uploaded=stat.st_mtime,
                    within=path.relative_to(self.folder).as_posix(),
                    path=path,
                    yanked=name + SIDECAR in beside and reason_beside(path),
                    has_attestations=f"{name}.provenance" in beside,
                )

    def _is_own(self, folder: Path) -> bool:
        """Whether a folder is one that the index has made."""
        is_of_copies = folder.parent == self._index / "files" and _OF_COPIES.fullmatch(folder.name) is not None
        return is_of_copies or folder == self._index / "simple"

    @contextmanager
    def local(self, offered: Offered) -> Iterator[Path]:
        """Documented by the Protocol."""
        if offered.path is None:
            msg = f"{offered.filename} is not in {self.folder}"
            raise FileError(msg)
        yield offered.path

    def metadata(self, offered: Offered) -> None:
        """Documented by the Protocol."""
        del offered


def _raise(error: OSError) -> None:
    raise error
