"""Reading one file that is to be listed: a wheel, an sdist, the properties of variants."""

from __future__ import annotations

import json
import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import Version

from gpuwheel._endings import because, cut, reading
from gpuwheel._files import sha256_of
from gpuwheel._limits import METADATA_FILE, SDIST_HEAD
from gpuwheel.errors import AuditError
from gpuwheel.publish.pages.records import OtherFile, Record
from gpuwheel.publish.wheel_facts import ChangedFileError, read_wheel_facts
from gpuwheel.wheel.metadata import field_values
from gpuwheel.wheel.naming import parse_sdist_name

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.errors import GpuwheelError
    from gpuwheel.publish.pages.offered import Offered

__all__ = ["Recorded", "recorded", "refusal_of"]

_VARIANTS = "-variants.json"
_SDIST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.tar\.gz", re.ASCII)
_HINT = "download or build the file again"


@dataclass(frozen=True)
class Recorded:
    """A file that was read."""

    record: Record
    metadata: bytes | None
    """METADATA of a wheel."""


def recorded(path: Path, offered: Offered, tables: Tables) -> Recorded:
    """Read a file.

    Raises:
        AuditError: it is not what its name says, is damaged, changed meanwhile, or is not what its source states.
    """
    if offered.filename.endswith(".whl"):
        found = read_wheel_facts(path, tables)
        _check_digest(offered, found.facts.sha256)
        record = Record(offered.identity, offered.uploaded, len(found.metadata), wheel=found.facts)
        return Recorded(record, found.metadata)
    before = path.stat()
    read = _variants if offered.filename.endswith(_VARIANTS) else _sdist
    with path.open("rb") as file:
        sha256 = sha256_of(file)
        file.seek(0)
        name, version, requires_python = read(file, path.name)
    after = path.stat()
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        raise ChangedFileError(path.name, "read")
    _check_digest(offered, sha256)
    other = OtherFile(path.name, before.st_size, sha256, name, version, requires_python)
    return Recorded(Record(offered.identity, offered.uploaded, 0, other=other), None)


def refusal_of(offered: Offered, error: GpuwheelError) -> Record:
    """The record of a file that is left out."""
    return Record(offered.identity, offered.uploaded, 0, refused=error.message, hint=error.hint)


def _check_digest(offered: Offered, sha256: str) -> None:
    if offered.sha256 not in {None, sha256}:
        msg = f"{offered.filename} is another file than its source states (sha256 {sha256}, expected {offered.sha256})"
        raise AuditError(msg, hint="correct the digest, or put the right file there")


def _sdist(file: BinaryIO, filename: str) -> tuple[str, str, str | None]:
    """Name and version by the file's name; Requires-Python by its PKG-INFO."""
    name, version = parse_sdist_name(filename)
    if _SDIST.fullmatch(filename) is None or not is_normalized_name(name):
        msg = f"{cut(ascii(filename))} is not an sdist's name (expected NAME-VERSION.tar.gz)"
        raise AuditError(msg, hint="do not rename sdists by hand")
    with reading(f"{filename} is not an sdist", "a gzipped tar archive with NAME-VERSION/PKG-INFO", hint=_HINT):
        try:
            info = _pkg_info(file)
        except (tarfile.TarError, OSError) as error:  # OSError: what gzip says of damage
            raise ValueError(because(error)) from error
        own, stated = "".join(field_values(info, "Name")), "".join(field_values(info, "Version"))
        if canonicalize_name(own) != name or Version(stated) != version:
            msg = f"PKG-INFO is of {cut(own)} {cut(stated)}"
            raise ValueError(msg)
        requires = next(iter(field_values(info, "Requires-Python")), "")
        SpecifierSet(requires)
    return name, str(version), requires or None


class _Bounded:
    """What is inflated of a file, at most as much as the head of an sdist may have."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._engine, self._left = file, zlib.decompressobj(wbits=31), SDIST_HEAD.value
        self._held = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        block = b""
        while not block and not self._engine.eof:
            data = self._held or self._file.read(1 << 16)
            if not data:
                break
            block = self._engine.decompress(data, size)
            self._held = self._engine.unconsumed_tail
        self._left -= len(block)
        if self._left < 0:
            raise ValueError(SDIST_HEAD.passed("more before PKG-INFO"))
        return block


def _pkg_info(file: BinaryIO) -> bytes:
    # As a stream: nothing behind PKG-INFO is inflated, and no link followed.
    with tarfile.open(fileobj=cast("BinaryIO", _Bounded(file)), mode="r|") as archive:
        for member in archive:
            if member.isreg() and member.name.count("/") == 1 and member.name.endswith("/PKG-INFO"):
                if member.size > METADATA_FILE.value:
                    raise ValueError(METADATA_FILE.passed(f"{member.size:,} bytes"))
                content = archive.extractfile(member)
                return b"" if content is None else content.read()
    msg = "no PKG-INFO"
    raise ValueError(msg)


def _variants(file: BinaryIO, filename: str) -> tuple[str, str, str | None]:
    """Name and version by the file's name, which is all that this index needs to know of it."""
    project, _, version = filename.removesuffix(_VARIANTS).rpartition("-")
    with reading(f"{filename} does not tell variants apart", "JSON of NAME-VERSION-variants.json", hint=_HINT):
        data = file.read(METADATA_FILE.value + 1)
        if len(data) > METADATA_FILE.value:
            raise ValueError(METADATA_FILE.passed("more"))
        document, name = json.loads(data), canonicalize_name(project)
        if not isinstance(document, dict) or not is_normalized_name(name):
            msg = f"name {cut(project)}, {type(document).__name__}"
            raise TypeError(msg)
        return name, str(Version(version.replace("_", "-"))), None
