"""Headers cut out of a pinned distribution: in the cache, in an installed copy or on the index, held to a digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.pins import contents_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.model.pins import HeadersPin
    from gpuwheel.toolchain.context import Context

__all__ = ["FoundHeaders", "find_headers"]

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


def find_headers(
    pin: HeadersPin, *, context: Context, installed: Path | None = None, beside: Mapping[str, bytes] | None = None
) -> FoundHeaders:
    """The headers that `pin` names, in the cache from now on.

    Args:
        pin: what to cut out of what.
        context: cache, environment, reporter.
        installed: folder where the pinned distribution is installed, if it is; asked before the index.
        beside: other files to put into the folder, by path; they follow from the pin.

    Raises:
        NetworkError: the headers have to be downloaded and cannot, or are not the pinned ones.
        CacheError: the cache cannot be written.
    """
    cache, beside = context.cache, beside or {}
    cached = cache.lookup("sdk", pin.digest)
    if cached is not None:
        if _is_whole(cached, pin, beside):
            return FoundHeaders(cached, "cache")
        context.reporter.warn(f"{cached} is damaged: cutting the headers of {pin.requirement} again")
        cache.remove("sdk", pin.digest)
    found_via = "cache"

    def fill(folder: Path) -> None:
        nonlocal found_via
        contents, found_via = _contents(pin, context, installed)
        _write(folder / _INCLUDE, contents)
        _write(folder, beside)

    def on_wait() -> None:
        context.reporter.info(f"waiting for another build that is downloading the headers of {pin.requirement}")

    root = cache.publish_tree("sdk", pin.digest, fill, on_wait=on_wait)
    return FoundHeaders(root, found_via)


def _contents(pin: HeadersPin, context: Context, installed: Path | None) -> tuple[dict[str, bytes], str]:
    if installed is not None:
        contents = _installed_contents(pin, installed)
        if contents_digest(contents) == pin.digest:
            return contents, "build environment"
    # HTTP and its libraries are loaded here, and not by a build that finds everything in place.
    from gpuwheel.toolchain.provision import provision_headers  # noqa: PLC0415

    return provision_headers(pin, context)


def _installed_contents(pin: HeadersPin, folder: Path) -> dict[str, bytes]:
    members = ((path, path.relative_to(folder).as_posix()) for path in (folder / pin.prefix).rglob("*"))
    found = ((path, pin.path_of(member)) for path, member in members if path.is_file())
    return {name: path.read_bytes() for path, name in found if name is not None}


def _is_whole(root: Path, pin: HeadersPin, beside: Mapping[str, bytes]) -> bool:
    include = root / _INCLUDE
    files = (path for path in include.rglob("*") if path.is_file())
    contents = {path.relative_to(include).as_posix(): path.read_bytes() for path in files}
    return contents_digest(contents) == pin.digest and all((root / path).is_file() for path in beside)


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    for path, data in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
