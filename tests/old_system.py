"""Debian 11, the oldest system that its mirrors still carry: its C and C++ libraries, unpacked into a folder.

Nothing is installed and no root is needed: programs run by its loader, which takes libraries from that folder alone.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import tarfile
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._run import Completed, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


__all__ = ["MIRROR", "SUITE", "OldSystem", "fetch_old_system", "without_preload"]

MIRROR = "http://deb.debian.org/debian"
SUITE = "bullseye"
PACKAGES = ("libc6", "libgcc-s1", "libstdc++6")
DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
# Python 3.11.4 has the filters of PEP 706, which Debian 12's own Python has not.
_TAR_FILTER = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


@dataclass(frozen=True)
class OldSystem:
    """A folder with a loader and libraries."""

    root: Path
    machine: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the libraries are."""
        triple = f"{self.machine}-linux-gnu"
        return (self.root / "lib" / triple, self.root / "usr" / "lib" / triple)

    def run(self, command: Sequence[str | Path], *emulator: str) -> Completed:
        """Run a program with these libraries and no others; an emulator where it is for another machine."""
        loader = self.folders[0] / LOADERS[self.machine]
        search = ["--library-path", ":".join(map(str, self.folders))]
        return run([*emulator, loader, *search, *command], env=without_preload(), check=False)


def without_preload() -> dict[str, str]:
    """This environment, without the libraries that are preloaded here and are not for another system."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def fetch_old_system(root: Path, machine: str) -> OldSystem:
    """Download (10 MB) and unpack into `root`.

    Raises:
        OSError: the mirror does not answer.
    """
    index = lzma.decompress(_download(f"dists/{SUITE}/main/binary-{DEBIAN_NAMES[machine]}/Packages.xz")).decode()
    for paragraph in index.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if line[:1] != " " and ": " in line)
        if fields.get("Package") not in PACKAGES:
            continue
        package = _download(fields["Filename"])
        if hashlib.sha256(package).hexdigest() != fields["SHA256"]:
            msg = f"{fields['Filename']} is not what the index says"
            raise OSError(msg)
        with tarfile.open(fileobj=io.BytesIO(_member(package, "data.tar.xz")), mode="r:xz") as archive:
            archive.extractall(root, **_TAR_FILTER)  # noqa: S202 (its digest is Debian's)
    return OldSystem(root, machine)


def _download(path: str) -> bytes:
    with urllib.request.urlopen(f"{MIRROR}/{path}", timeout=60) as response:  # noqa: S310 - a URL of ours
        data: bytes = response.read()
        return data


def _member(package: bytes, name: str) -> bytes:
    """A member of a .deb, which is an `ar` archive (deb(5))."""
    at = 8
    while at < len(package):
        header = package[at : at + 60]
        size = int(header[48:58])
        if header[:16].decode().strip().rstrip("/") == name:
            return package[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    msg = f"a package of {SUITE} has no {name}"
    raise OSError(msg)
