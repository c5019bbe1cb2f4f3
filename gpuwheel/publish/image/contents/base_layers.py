"""What the layers of a base hold, as far as an image on it has to know: Pythons, the C library, folders and links.

Layers are unpacked in passing; nothing is written, and nothing of them is run. What a layer holds is noted in the cache
under its digest, once its bytes were found to have that digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
import tarfile
from typing import IO, TYPE_CHECKING, Any, cast

from gpuwheel._endings import cut, reading
from gpuwheel._limits import BASE_LAYER, TAR_HEADER
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.compression import unpacked
from gpuwheel.publish.image.descriptors import hex_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.image.layout import Layout

__all__ = ["PYTHON_NAME", "inside_of", "is_noted", "library_version", "resolved", "rows_of"]

PYTHON_NAME = re.compile(r"(?:[\w.+-]+/)*bin/python(?P<version>3(?:\.\d+t?)?)?")

_HINT = "pull the image again, or choose another base"
# Where the loader looks: a toolchain for another system has a C library too, in a folder of its own.
_LIBRARIES = r"(?:usr/)?lib(?:32|64|x32)?/(?:[\w.]+-linux-[\w.]+/)?"
_GLIBC_NAME = re.compile(rf"{_LIBRARIES}libc(?:-2\.\d+)?\.so(?:\.6)?")
_GLIBC = re.compile(rb"GNU C Library [^\n]{0,100}?version (?P<major>2)\.(?P<minor>\d+)")
_MUSL_NAME = re.compile(rf"{_LIBRARIES}(?:ld-musl-[\w.-]+\.so\.1|libc\.musl-[\w.-]+\.so\.1)")
_MUSL = re.compile(rb"\x00(?P<major>1)\.(?P<minor>[1-9]\d?)\.\d+\x00")
_LIBC_SIZE = 16_000_000
_NOTE = 3
"""Version of what is noted of a layer."""
_DEPTHS = {"folder": 3, "link": 2}
"""Parts of the paths of folders and links that are noted."""
_LOOPS = 20


class _Stream(io.RawIOBase):
    """Blocks as a file, up to a bound."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        super().__init__()
        self._blocks, self._rest, self._left = iter(blocks), b"", BASE_LAYER.value

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (a buffer)
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
            self._left -= len(block)
            if self._left < 0:
                raise ValueError(BASE_LAYER.passed("more"))
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


class _Member(tarfile.TarInfo):
    """A member whose extended header is no larger than anybody's."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:  # noqa: ANN401 (as its base)
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        is_extended = self.type in (*extended, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if is_extended and self.size > TAR_HEADER.value:
            raise ValueError(TAR_HEADER.passed(f"{self.size:,}"))
        return super()._proc_member(archive)  # type: ignore[misc]


def is_noted(layer: Descriptor, cache: Cache) -> bool:
    """Whether it is known what a layer holds."""
    return _noted(layer, cache) is not None


def _note_name(layer: Descriptor) -> str:
    return f"image-layer-{hex_of(layer.digest)}"


def _noted(layer: Descriptor, cache: Cache) -> list[list[str]] | None:
    noted = cache.note(_note_name(layer))
    if noted is not None:
        try:
            known = json.loads(noted)
            if known["version"] == _NOTE:
                return [[str(path), str(what)] for path, what in known["found"]]
        except (ValueError, KeyError, TypeError):
            pass  # damaged: read the layer again
    return None


def _looked_into(layout: Layout, layer: Descriptor, cache: Cache) -> list[list[str]]:
    """(path, what) with "python", "link TARGET", "folder MODE UID GID", "venv", "glibc 2.36", "musl 1.2", "gone"."""
    noted = _noted(layer, cache)
    if noted is not None:
        return noted
    if not layout.has(layer):
        msg = f"{layout.folder} lacks the layer {layer.digest} of the base"
        raise ImageError(msg, hint=_HINT)
    digest = hashlib.sha256()

    def blocks(file: IO[bytes]) -> Iterator[bytes]:
        while block := file.read(1 << 18):
            digest.update(block)
            yield block

    with layout.blob_path(layer.digest).open("rb") as file:
        packed = blocks(file)
        found = rows_of(packed, layer.digest)
        for _ in packed:  # what is behind the tar
            pass
    if f"sha256:{digest.hexdigest()}" != layer.digest:
        msg = f"{layout.folder} has other content under {layer.digest} (found sha256:{digest.hexdigest()})"
        raise ImageError(msg, hint=_HINT)
    cache.keep_note(_note_name(layer), json.dumps({"version": _NOTE, "found": found}).encode())
    return found


def rows_of(packed: Iterator[bytes], name: str) -> list[list[str]]:
    """(path, what) of a packed layer, as they are noted.

    Raises:
        ImageError: it is damaged; `name` is for the message.
    """
    with reading(f"the layer {name} is damaged", "a tar", error=ImageError, hint=_HINT):
        try:
            return [list(one) for one in _worth_knowing(unpacked(packed))]
        except tarfile.TarError as error:
            raise ValueError(cut(error)) from error


def _worth_knowing(blocks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    stream = cast("IO[bytes]", io.BufferedReader(_Stream(blocks), 1 << 20))
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # else every member of every layer stays in memory
            path = member.name.removeprefix("./").strip("/")
            folder, _, name = path.rpartition("/")
            parts = path.count("/") + 1
            if name == ".wh..wh..opq":
                yield folder, "gone"
            elif name.startswith(".wh."):
                yield f"{folder}/{name.removeprefix('.wh.')}".strip("/"), "gone"
            elif member.isdir() and path and parts <= _DEPTHS["folder"]:
                yield path, f"folder {member.mode & 0o7777:o} {member.uid} {member.gid}"
            elif member.issym() and (parts <= _DEPTHS["link"] or PYTHON_NAME.fullmatch(path)):
                yield path, f"link {member.linkname}"
            elif PYTHON_NAME.fullmatch(path):
                yield path, f"link /{member.linkname.lstrip('/')}" if member.islnk() else "python"
            elif name == "pyvenv.cfg":
                yield path, "venv"
            elif member.isfile() and (_GLIBC_NAME.fullmatch(path) or _MUSL_NAME.fullmatch(path)):
                yield from _libc(archive, member, path)


def _libc(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> Iterator[tuple[str, str]]:
    file = archive.extractfile(member)
    data = b"" if file is None or member.size > _LIBC_SIZE else file.read()
    for name, pattern in (("glibc", _GLIBC), ("musl", _MUSL)):
        if (name == "musl") is (_MUSL_NAME.fullmatch(path) is not None) and (match := pattern.search(data)):
            yield path, f"{name} {match['major'].decode()}.{match['minor'].decode()}"


def inside_of(layout: Layout, layers: Sequence[Descriptor], cache: Cache) -> dict[str, str]:
    """What is worth knowing of all layers together, each over those below it: path -> what.

    Raises:
        ImageError: a layer is damaged or not there, or of zstd, which zstandard is needed for.
    """
    found: dict[str, str] = {}
    for layer in layers:
        rows = _looked_into(layout, layer, cache)
        for path, what in rows:
            if what == "gone":
                for gone in [one for one in found if not path or one == path or one.startswith(f"{path}/")]:
                    del found[gone]
        found |= {path: what for path, what in rows if what != "gone"}
    return found


def library_version(inside: Mapping[str, str], name: str) -> tuple[int, int] | None:
    """Of "glibc" or "musl"."""
    versions = []
    for what in inside.values():
        kind, _, version = what.partition(" ")
        if kind == name:
            major, minor = version.split(".")
            versions.append((int(major), int(minor)))
    return max(versions, default=None)


def resolved(inside: Mapping[str, str], path: str) -> str | None:
    """Where a path leads, links followed, without a leading slash; `None` for links in a circle."""
    at = path.strip("/")
    for _ in range(_LOOPS):
        parts = at.split("/")
        for count in range(1, len(parts) + 1):
            what = inside.get("/".join(parts[:count]), "")
            if what.startswith("link "):
                above = "/".join(parts[: count - 1])
                joined = posixpath.join("/", above, what.removeprefix("link "), *parts[count:])
                at = posixpath.normpath(joined).lstrip("/")
                break
        else:
            return at
    return None
