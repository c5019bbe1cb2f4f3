"""Turning what an inner backend built into the file that ships: names, tags, requirements, further files."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._files import atomic_file
from gpuwheel.errors import AuditError
from gpuwheel.wheel.archive import DEFAULT_EPOCH, Member, dist_info_folder, read_members, sealed_members
from gpuwheel.wheel.local_version import labelled_folder, labelled_metadata, labelled_version, moved
from gpuwheel.wheel.metadata import add_requirements, field_values, set_field
from gpuwheel.wheel.naming import WheelName, expand_tag, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["Wheel", "WheelEdits", "add_members", "edit_wheel", "edited_metadata", "read_wheel", "rewrite_sdist"]

_GZIP_LEVEL = 9
_GZIP_LAST = 0xFFFFFFFF
"""The last second that a gzip header can say."""


@dataclass(frozen=True)
class WheelEdits:
    """What to change in a wheel; the default changes nothing but RECORD, and drops `Dynamic: Requires-Dist`."""

    requirements: tuple[str, ...] = ()
    """Requires-Dist values to add."""
    platform: str | None = None
    """New platform tag, for example "manylinux_2_34_x86_64"; dots join several."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Further files, by path inside the `.dist-info` folder, for example "sboms/gpuwheel.cdx.json"."""
    generator: str | None = None
    """A further Generator line of WHEEL, for example "gpuwheel 0.1.0"."""
    local: str | None = None
    """A local part for the version (PEP 440), for example "torch2.14"; behind one that the project has itself."""


@dataclass(frozen=True)
class Wheel:
    """A wheel in memory."""

    name: WheelName
    members: Mapping[str, Member]
    """Every file in it, by name."""


def read_wheel(path: Path) -> Wheel:
    """A whole wheel file.

    Raises:
        AuditError: it is not one, or damaged.
    """
    return Wheel(parse_wheel_name(path.name), read_members(path))


def add_members(wheel: Wheel, members: Iterable[Member]) -> Wheel:
    """The wheel with further files, and a RECORD that does not know them.

    Raises:
        AuditError: a name occurs twice.
    """
    together = dict(wheel.members)
    for member in members:
        if member.name in together:
            msg = f"{wheel.name} holds {cut(member.name)} twice (each name must occur once)"
            raise AuditError(msg, hint="rename one of the two files")
        together[member.name] = member
    return Wheel(wheel.name, together)


def edit_wheel(wheel: Wheel, edits: WheelEdits) -> Wheel:
    """The edited wheel, with a RECORD that says so.

    Raises:
        AuditError: it is not a valid wheel, a requirement is invalid, or a new file is already there.
    """
    name, source, members = wheel.name, str(wheel.name), dict(wheel.members)
    if edits.platform is not None:
        name = name.with_platform(edits.platform)
    folder = dist_info_folder(members, source)
    if edits.local is not None:
        members = moved(members.values(), folder, edits.local)
        folder = labelled_folder(folder, edits.local)
        name = replace(name, version=labelled_version(name.version, edits.local))
    metadata, wheel_file = (_required(members, f"{folder}/{file}", source) for file in ("METADATA", "WHEEL"))
    for member, data in (
        (metadata, edited_metadata(metadata.data, edits)),
        (wheel_file, _edit_wheel_file(wheel_file.data, name, edits)),
    ):
        # A member that stays the same keeps its compressed stream.
        members[member.name] = member if data == member.data else Member(member.name, data, member.executable)
    for relative, data in edits.files.items():
        path = f"{folder}/{relative}"
        # The same file again is no clash: editing a wheel twice changes nothing.
        if path in members and members[path].data != data:
            msg = f"{source} already holds another {path} (gpuwheel writes this file itself)"
            raise AuditError(msg, hint=f"remove {relative} from the project")
        members[path] = members.get(path, Member(path, data))
    return Wheel(name, sealed_members(members.values(), str(name)))


def edited_metadata(metadata: bytes, edits: WheelEdits) -> bytes:
    """METADATA of the edited wheel.

    Raises:
        AuditError: a requirement is invalid.
    """
    text = add_requirements(metadata, edits.requirements)
    return text if edits.local is None else labelled_metadata(text, edits.local)


def _required(members: Mapping[str, Member], name: str, source: str) -> Member:
    if name not in members:
        msg = f"{source} is not a wheel ({name} is missing)"
        raise AuditError(msg, hint="build the wheel again")
    return members[name]


def _edit_wheel_file(text: bytes, name: WheelName, edits: WheelEdits) -> bytes:
    if edits.generator is not None:
        # The inner backend keeps its line: who looks for the cause of a wheel's oddity wants both.
        generators = dict.fromkeys([*field_values(text, "Generator"), edits.generator])
        text = set_field(text, "Generator", list(generators))
    if edits.platform is not None:
        text = set_field(text, "Tag", [str(tag) for tag in expand_tag(name.tag)])
    return text


def rewrite_sdist(path: Path, edit: Callable[[bytes], bytes], *, epoch: int | None = None) -> Path:
    """Edit PKG-INFO of an sdist in place, and make the archive depend on its files alone.

    Members are sorted; owner, mode (0644, 0755) and time are fixed, in the gzip header too. Hard links, which depend on
    how the files lie on the disk, become files.

    Raises:
        AuditError: not a gzipped tar archive with one top folder that holds PKG-INFO, or an unsafe member.
        OSError: the file cannot be written; the old one stays.
    """
    stamp = DEFAULT_EPOCH if epoch is None else epoch
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = {info.name: (info, _contents(archive, info)) for info in archive.getmembers()}
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, KeyError) as error:
        msg = f"{path.name} is not an sdist ({error}, expected a gzipped tar archive)"
        raise AuditError(msg, hint="build it again") from error
    for info, _ in members.values():
        _check_sdist_member(path, info)
    top = {PurePosixPath(name).parts[0] for name in members}
    pkg_info = f"{min(top, default='')}/PKG-INFO"
    if len(top) != 1 or pkg_info not in members:
        msg = f"{path.name} is not an sdist (found {', '.join(sorted(top))}, expected one folder with PKG-INFO)"
        raise AuditError(msg, hint="build it again")
    info, data = members[pkg_info]
    members[pkg_info] = info, edit(data)
    with atomic_file(path) as out:
        out.write(_pack_sdist(members, stamp))
    return path


def _contents(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info) if info.isreg() or info.islnk() else None
    return file.read() if file is not None else b""


def _check_sdist_member(path: Path, info: tarfile.TarInfo) -> None:
    name = PurePosixPath(info.name)
    # Where a link points to, seen from the top of the archive; PEP 721 refuses links that leave it.
    target = PurePosixPath(posixpath.normpath(name.parent / info.linkname)) if info.issym() else name
    supported = info.isreg() or info.islnk() or info.isdir() or info.issym()
    if not supported or name.is_absolute() or ".." in name.parts or target.parts[:1] != name.parts[:1]:
        msg = f"{path.name} holds an unsafe member ({info.name!r}, expected files and links inside its own folder)"
        raise AuditError(msg, hint="do not install this file")


def _pack_sdist(members: Mapping[str, tuple[tarfile.TarInfo, bytes]], stamp: int) -> bytes:
    packed = io.BytesIO()
    with (
        # No name: the header would carry that of the temporary file.
        gzip.GzipFile("", "wb", _GZIP_LEVEL, packed, min(stamp, _GZIP_LAST)) as compressed,
        # PEP 517, "Source distributions": the pax format, which says UTF-8 of names.
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(members):
            info, data = members[name]
            # A new one has owner 0 and no names; the one that was read has those of whoever built the sdist.
            normal = tarfile.TarInfo(name)
            # Which of two names of one file is the link depends on the order in which the disk gave them.
            normal.type = tarfile.REGTYPE if info.islnk() else info.type
            normal.linkname = info.linkname if info.issym() else ""
            normal.mode = 0o755 if info.isdir() or info.mode & 0o111 else 0o644
            normal.mtime = stamp
            normal.size = len(data)
            archive.addfile(normal, io.BytesIO(data))
    return packed.getvalue()
