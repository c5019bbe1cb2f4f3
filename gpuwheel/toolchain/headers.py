"""Headers cut out of a pinned distribution: in the cache, in an installed copy or on the index, held to a digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._cache import content_problem, sealed_digests
from gpuwheel.model.pins import contents_digest, tree_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.index.context import Context
    from gpuwheel.model.pins import HeadersPin

__all__ = ["FoundHeaders", "find_headers", "headers_problem"]

_INCLUDE = "include"


@dataclass(frozen=True)
class FoundHeaders:
    """A folder of the cache."""

    root: Path
    found_via: str

    @property
    def include_dir(self) -> Path:
        """Where the headers are; nothing else is there."""
        return self.root / _INCLUDE


def find_headers(pin: HeadersPin, *, context: Context, installed: Path | None = None) -> FoundHeaders:
    """The headers that `pin` names, in the cache from now on.

    Args:
        pin: what to cut out of what.
        context: cache, environment, reporter.
        installed: folder where the pinned distribution is installed, if it is; asked before the index.

    Raises:
        NetworkError: the headers have to be downloaded and cannot, or are not the pinned ones.
        CacheError: the cache cannot be written.
    """
    found_via = "cache"

    def fill(folder: Path) -> None:
        nonlocal found_via
        contents, found_via = _contents(pin, context, installed)
        _write(folder / _INCLUDE, contents)

    def on_wait() -> None:
        context.reporter.info(f"waiting for another build that is downloading the headers of {pin.requirement}")

    def on_damage(problem: str) -> None:
        text = f"the headers of {pin.requirement} in the cache are damaged ({problem}): cutting them again"
        context.reporter.warn(text)

    root = context.cache.publish_tree(
        "sdk", pin.digest, fill, check=headers_problem, on_wait=on_wait, on_damage=on_damage
    )
    return FoundHeaders(root, found_via)


def _contents(pin: HeadersPin, context: Context, installed: Path | None) -> tuple[dict[str, bytes], str]:
    if installed is not None:
        contents = _installed_contents(pin, installed)
        # An installed copy may be another build of that version, or patched: else the index is asked.
        if contents_digest(contents) == pin.digest:
            return contents, "build environment"
    # HTTP and its libraries are loaded here, and not by a build that finds everything in place.
    from gpuwheel.toolchain.provision import provision_headers  # noqa: PLC0415

    return provision_headers(pin, context)


def _installed_contents(pin: HeadersPin, folder: Path) -> dict[str, bytes]:
    members = ((path, path.relative_to(folder).as_posix()) for path in (folder / pin.prefix).rglob("*"))
    found = ((path, pin.path_of(member)) for path, member in members if path.is_file())
    return {name: path.read_bytes() for path, name in found if name is not None}


def headers_problem(root: Path) -> str | None:
    """What is wrong with a folder that `find_headers` filled, whose name is their digest; `None`: nothing."""
    problem = content_problem(root)
    if problem is not None:
        return problem
    inside = f"{_INCLUDE}/"
    digests = sealed_digests(root)
    found = tree_digest(
        {name.removeprefix(inside): digest for name, digest in digests.items() if name.startswith(inside)}
    )
    # Files of the cache that are whole may still be wrong: the digest of a tree is its pin, not a checksum of ours.
    return None if found == root.name else f"its headers have the digest {found}"


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    for path, data in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
