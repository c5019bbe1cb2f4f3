"""The very gpuwheel that runs, as a wheel: what the environments of other Pythons and of other machines install.

The one on an index may be another, and an unreleased one is on none. The wheel is made of the files of the package as
they lie there, so an editable install gives the checkout that it points to; equal files make equal bytes. Its version
ends with a digest of them (`0.1.0+src5f2a...`), by which two machines tell whether they run the same code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel import __version__
from gpuwheel._resources import resource
from gpuwheel.toolchain.probes.programs import own_distribution
from gpuwheel.wheel.archive import Member, write_wheel
from gpuwheel.wheel.metadata import set_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel._cache import Cache

__all__ = ["OwnContents", "OwnWheel", "own_contents", "own_wheel"]

_LEFT_OUT = frozenset({"__pycache__", ".DS_Store"})
_WHEEL = b"Wheel-Version: 1.0\nGenerator: gpuwheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_NAME = "gpuwheel"


@dataclass(frozen=True)
class OwnWheel:
    """A wheel of the running gpuwheel."""

    path: Path
    version: str
    """With the digest of its files as local part."""

    def requirement(self, extras: frozenset[str] = frozenset()) -> str:
        """What installs it (PEP 508)."""
        listed = f"[{','.join(sorted(extras))}]" if extras else ""
        return f"{_NAME}{listed} @ {self.path.as_uri()}"


@dataclass(frozen=True)
class OwnContents:
    """What the wheel is made of: paths inside it, and bytes."""

    files: list[tuple[str, bytes]]
    installed: list[tuple[str, bytes]]
    version: str
    """With the digest of both as local part."""


def own_contents() -> OwnContents:
    """The files of the running gpuwheel, as they lie here.

    Raises:
        ToolchainError: gpuwheel runs from a folder that nobody installed.
    """
    files = sorted([*_files(resource("include").parent, _NAME), *_templates()])
    installed = _installed()
    digest = hashlib.sha256()
    for name, data in [*files, *installed]:
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return OwnContents(files, installed, f"{__version__}+src{digest.hexdigest()[:16]}")


def own_wheel(cache: Cache) -> OwnWheel:
    """The wheel, made in `cache` if it is not there.

    Raises:
        ToolchainError: gpuwheel runs from a folder that nobody installed.
        CacheError: the cache cannot be written.
    """
    own = own_contents()
    version = own.version

    def fill(folder: Path) -> None:
        info = f"{_NAME}-{version}.dist-info"
        members = [Member(name, data) for name, data in own.files]
        texts = {**dict(own.installed), "WHEEL": _WHEEL}
        texts["METADATA"] = set_field(texts["METADATA"], "Version", [version])
        members += [Member(f"{info}/{name}", data) for name, data in texts.items()]
        write_wheel(folder / f"{_NAME}-{version}-py3-none-any.whl", members)

    folder = cache.publish_tree("environments", f"{_NAME}-{version}", fill)
    return OwnWheel(folder / f"{_NAME}-{version}-py3-none-any.whl", version)


def _files(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Path inside the wheel, and content, of all that is in a folder; links to files count as files."""
    for entry in sorted(folder.iterdir()):
        if entry.name in _LEFT_OUT or entry.suffix == ".pyc":
            continue
        if entry.is_dir():
            yield from _files(entry, f"{name}/{entry.name}")
        else:
            yield f"{name}/{entry.name}", entry.read_bytes()


def _templates() -> Iterator[tuple[str, bytes]]:
    """Where gpuwheel runs from its checkout, they lie beside the package."""
    templates = resource("templates")
    if templates.parent != resource("include").parent:
        yield from _files(templates, f"{_NAME}/templates")


def _installed() -> list[tuple[str, bytes]]:
    """What an installer noted of gpuwheel, and an installer needs: its metadata and its commands.

    Raises:
        ToolchainError: there is none.
    """
    distribution = own_distribution()
    texts = {name: distribution.read_text(name) for name in ("METADATA", "entry_points.txt")}
    found = {name: text.encode() for name, text in texts.items() if text}
    # Where gpuwheel was installed from such a wheel, it is of the same version again.
    found["METADATA"] = set_field(found["METADATA"], "Version", [__version__])
    return list(found.items())
