"""What is taken from elsewhere, by digest: files of distributions, and entries of a remote.

Pins are read from `gpuwheel/data` (`compatibility`), asked for by the build hook (`Pin.requirement`) and provisioned
by `toolchain` where no build frontend does it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.tags import Tag

__all__ = ["HeadersPin", "LibraryPin", "NvccPin", "Origin", "Pin", "PinnedFile", "contents_digest", "tree_digest"]


@dataclass(frozen=True)
class PinnedFile:
    """One file on the package index."""

    filename: str
    sha256: str
    """Lower-case hex digest of the whole file."""
    size: int
    """Bytes; 0 where a lock file of pip's does not say it."""

    @property
    def tags(self) -> frozenset[Tag]:
        """The compatibility tags in the file's name (binary distribution format)."""
        return parse_wheel_filename(self.filename)[3]


@dataclass(frozen=True)
class Pin:
    """One distribution at one version, with every file of it that gpuwheel may use."""

    name: str
    """Normalised project name (PEP 503), for example "nvidia-cuda-nvrtc-cu12"."""
    version: str
    files: tuple[PinnedFile, ...]

    @property
    def requirement(self) -> str:
        """As a build requirement (PEP 508): "nvidia-cuda-nvrtc-cu12==12.9.86"."""
        return f"{self.name}=={self.version}"

    @property
    def run_time_requirement(self) -> str:
        """What a wheel asks for that links a library of this: the minor it was compiled with or a newer one."""
        major, minor = self.version.split(".")[:2]
        # NVIDIA's libraries keep their SONAME and their symbols within a major, and add to them with a minor.
        return f"{self.name}>={major}.{minor},<{int(major) + 1}"

    def file_for(self, tags: Iterable[Tag]) -> PinnedFile | None:
        """The file an installer would take; `tags` in order of preference, as `packaging.tags.sys_tags()` gives."""
        by_tag = {tag: file for file in self.files for tag in file.tags}
        return next((by_tag[tag] for tag in tags if tag in by_tag), None)

    def file_on(self, machine: str) -> PinnedFile | None:
        """The file for a CPU architecture, of a distribution that has one for all Pythons."""
        named = f"_{machine}"
        return next((file for file in self.files if any(tag.platform.endswith(named) for tag in file.tags)), None)


@dataclass(frozen=True)
class NvccPin(Pin):
    """A part of the toolkit of nvcc."""

    linked: bool = False
    """Whether it has libraries that become a part of extensions, and so have to be of the machine compiled for."""


@dataclass(frozen=True)
class HeadersPin(Pin):
    """Headers, cut out of a distribution of which nothing else is needed. Any one of its files will do."""

    prefix: str
    """Folder in the wheel that becomes the include folder: "torch/include/"."""
    roots: tuple[str, ...]
    """Folders (ending in "/") and files, relative to `prefix`, that are cut out."""
    digest: str
    """`tree_digest` of the cut tree."""
    file_count: int
    required_by: tuple[str, ...] = ()
    """Headers of other pins, as sources name them, that do not compile without these."""

    def path_of(self, member: str) -> str | None:
        """Where a member of the wheel lies in the cut tree, relative to the include folder; `None` if not part."""
        # The names are a ZIP archive's: ".." would lead out of the folder (CWE-22).
        if not member.startswith(self.prefix) or member.endswith("/") or ".." in member.split("/"):
            return None
        path = member[len(self.prefix) :]
        return path if self._covers(path) else None

    def is_needed_for(self, includes: Iterable[str]) -> bool:
        """Whether sources that include headers of these names, none of them their own, need the cut tree."""
        return any(name in self.required_by or self._covers(name) for name in includes)

    def _covers(self, path: str) -> bool:
        return any(path == root or (root.endswith("/") and path.startswith(root)) for root in self.roots)


@dataclass(frozen=True)
class LibraryPin(HeadersPin):
    """A shared library of the CUDA toolkit: its headers, and the name to link. Users install the library itself."""

    sonames: tuple[tuple[str, str], ...] = ()
    """Name after `-l` and the SONAME it stands for: ("cublasLt", "libcublasLt.so.13")."""


def tree_digest(digests: Mapping[str, str]) -> str:
    r"""One digest for a folder: sha256 over the sorted lines `path NUL sha256 LF`.

    Args:
        digests: POSIX path relative to the folder -> lower-case hex sha256 of that file's bytes.
    """
    # NUL ends a path, which holds none, and digests have one length: two folders cannot give one text.
    lines = (f"{path}\0{digest}\n".encode() for path, digest in sorted(digests.items()))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def contents_digest(contents: Mapping[str, bytes]) -> str:
    """`tree_digest` of a folder whose files are at hand: POSIX path relative to the folder -> bytes."""
    return tree_digest({path: hashlib.sha256(data).hexdigest() for path, data in contents.items()})


@dataclass(frozen=True, order=True)
class Origin:
    """An entry of a remote, whose signature was checked when it was taken: where compiled code came from."""

    kind: str
    """`images` or `libraries`."""
    key: str
    level: str
    """Of trust."""
    signer: str
    """Public key."""
    sha256: str
    """Of the entry."""
