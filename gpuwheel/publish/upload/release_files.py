"""Files of a release, each read once: what a place that takes them would look at."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gpuwheel._endings import cut, reading
from gpuwheel._files import sha256_of
from gpuwheel._limits import ARCHIVE_EXPANSION, ARCHIVE_MEMBERS, ARCHIVE_SMALL, METADATA_FILE
from gpuwheel.errors import AuditError
from gpuwheel.publish.upload.archive_form import ArchiveForm, archive_form
from gpuwheel.publish.wheel_facts import split_variant
from gpuwheel.wheel import parse_sdist_name
from gpuwheel.wheel.archive import dist_info_folder, stored_members
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["ReleaseFile", "digest_of", "read_release_file", "release_files_in", "same_project", "stated_version"]

_SDIST = ".tar.gz"
_WHEEL = ".whl"


@dataclass(frozen=True)
class ReleaseFile:
    """A wheel or an sdist."""

    path: Path
    size: int
    """Bytes."""
    sha256: str
    is_wheel: bool
    project: str
    """Of the file's name, normalised (PEP 503)."""
    version: Version
    """Of the file's name."""
    metadata: bytes
    """METADATA or PKG-INFO."""
    root: str
    """What paths in the metadata are relative to: the `.dist-info` folder of a wheel, the top folder of an sdist."""
    members: frozenset[str]
    platforms: tuple[str, ...] = ()
    """Platform tags of a wheel."""
    form: ArchiveForm = field(default_factory=ArchiveForm)
    """How a wheel is packed."""
    variant: str | None = None
    """Label of a variant wheel (PEP 825)."""

    def values(self, field: str) -> tuple[str, ...]:
        """Values of a field of the metadata."""
        return field_values(self.metadata, field)

    def value(self, field: str) -> str:
        """The first value of a field; "" where there is none."""
        return next(iter(self.values(field)), "")


def release_files_in(places: Iterable[Path]) -> list[Path]:
    """Wheels and sdists among files, and in folders; each once, wheels first.

    Wheels go first in an upload, too: while an sdist is alone there, installers would build it.
    """
    found: dict[Path, None] = {}
    for place in places:
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        named = [path for path in inside if not place.is_dir() or path.name.endswith((_WHEEL, _SDIST))]
        found.update(dict.fromkeys(path for path in named if not path.is_dir()))
    return sorted(found, key=lambda path: (not path.name.endswith(_WHEEL), path.name))


def read_release_file(path: Path) -> ReleaseFile:
    """Read what a server would.

    Raises:
        AuditError: it is neither a wheel nor an sdist, or damaged.
        OSError: it cannot be read.
    """
    digest, size = digest_of(path), path.stat().st_size
    if path.name.endswith(_WHEEL):
        return _wheel(path, digest, size)
    if path.name.endswith(_SDIST):
        return _sdist(path, digest, size)
    msg = f"{cut(path.name)} is neither a wheel nor an sdist (expected .whl or .tar.gz)"
    raise AuditError(msg, hint="name the files of one release alone")


def digest_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return sha256_of(file)


def _wheel(path: Path, digest: str, size: int) -> ReleaseFile:
    hint = "do not rename wheels by hand"
    plain, label = split_variant(path.name)
    with reading(f"{cut(repr(path.name))} is not a wheel's name", "NAME-VERSION-PYTHON-ABI-PLATFORM.whl", hint=hint):
        project, version, _, tags = parse_wheel_filename(plain)
    with stored_members(path) as members:
        root = dist_info_folder(members, path.name)
        if f"{root}/METADATA" not in members:
            msg = f"{path.name} is not a wheel ({root}/METADATA is missing)"
            raise AuditError(msg, hint="build the wheel again")
        return ReleaseFile(
            path=path,
            size=size,
            sha256=digest,
            is_wheel=True,
            project=str(project),
            version=version,
            metadata=members[f"{root}/METADATA"].data,
            root=root,
            members=frozenset(members),
            platforms=tuple(sorted({tag.platform for tag in tags})),
            form=archive_form(path),
            variant=label,
        )


def _sdist(path: Path, digest: str, size: int) -> ReleaseFile:
    project, version = parse_sdist_name(path.name)
    members: set[str] = set()
    metadata: bytes | None = None
    hint = "build it again"
    with reading(f"{path.name} is not an sdist", "a gzipped tar archive", hint=hint):
        try:
            with tarfile.open(path, "r:gz") as archive:
                left = max(ARCHIVE_SMALL.value, ARCHIVE_EXPANSION.value * size)
                for member in archive:
                    members.add(member.name)
                    left -= member.size
                    if left < 0:
                        msg = f"{path.name} unpacks to far more than it holds ({ARCHIVE_EXPANSION.passed('more')})"
                        raise AuditError(msg, hint=hint)
                    if len(members) > ARCHIVE_MEMBERS.value:
                        msg = f"{path.name} holds too many files ({ARCHIVE_MEMBERS.passed('more')})"
                        raise AuditError(msg, hint=hint)
                    if member.name.count("/") == 1 and member.name.endswith("/PKG-INFO"):
                        metadata = _text(archive, member, path.name)
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            msg = f"{path.name} is not an sdist ({cut(error)}, expected a gzipped tar archive)"
            raise AuditError(msg, hint=hint) from error
    roots = {name.partition("/")[0] for name in members}
    if metadata is None or len(roots) != 1:
        msg = f"{path.name} is not an sdist (found {cut(', '.join(sorted(roots)))}, expected one folder with PKG-INFO)"
        raise AuditError(msg, hint=hint)
    return ReleaseFile(path, size, digest, False, project, version, metadata, roots.pop(), frozenset(members))  # noqa: FBT003


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo, source: str) -> bytes:
    file = archive.extractfile(member)
    data = file.read(METADATA_FILE.value + 1) if file is not None else b""
    if len(data) > METADATA_FILE.value:
        msg = f"{source} holds a PKG-INFO that is too large ({METADATA_FILE.passed('more')})"
        raise AuditError(msg, hint="build it again")
    return data


def stated_version(text: str) -> Version | None:
    """A version as metadata states it; `None`: it is none."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def same_project(one: str, other: str) -> bool:
    """Whether two names are of one project (PEP 503)."""
    return canonicalize_name(one) == canonicalize_name(other)
