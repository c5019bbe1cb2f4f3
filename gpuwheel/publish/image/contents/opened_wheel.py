"""A wheel that is open: its members where they lie, its RECORD, and proof that nobody changed it meanwhile."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel._archives import Archive
from gpuwheel._endings import cut, reading
from gpuwheel._files import sha256_of
from gpuwheel._limits import METADATA_FILE
from gpuwheel.errors import AuditError
from gpuwheel.wheel.archive import as_recorded, dist_info_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["OpenWheel", "open_wheel"]

_HINT = "download or build the file again"
_STRONG = ("sha256", "sha384", "sha512")
"""What RECORD may have: sha256 or better (binary distribution format)."""


class OpenWheel:
    """The members of a wheel, read when they are needed: wheels have gigabytes."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Use `open_wheel`."""
        self._file, self.name = file, name
        self.state = _state(file)
        self.size = self.state[1]
        self.archive = Archive(file, name, self.size, error=AuditError, hint=_HINT)
        self.members = {info.filename: info for info in self.archive.members}
        self.dist_info = dist_info_folder(self.members, name)

    def read(self, member: str) -> bytes:
        """A text of the `.dist-info` folder, such as "METADATA"; empty where there is none.

        Raises:
            AuditError: it is damaged, or larger than such a text may be.
        """
        info = self.members.get(f"{self.dist_info}/{member}")
        if info is None:
            return b""
        if info.file_size > METADATA_FILE.value:
            msg = (
                f"holds a {cut(info.filename)} that is too large ({METADATA_FILE.passed(f'{info.file_size:,} bytes')})"
            )
            raise self.archive.refuse(msg)
        return self.archive.read(info)

    def record(self) -> dict[str, str]:
        """Path of each member -> its digest, as RECORD has it: `sha256=...`.

        Raises:
            AuditError: RECORD is damaged, or lists other files than the wheel has.
        """
        own = f"{self.dist_info}/RECORD"
        with reading(f"{self.name} has a damaged RECORD", "lines of path,hash,size", hint=_HINT):
            rows = list(csv.reader(io.StringIO(self.read("RECORD").decode(), newline="")))
            listed = {path: (digest, size) for path, digest, size in (row for row in rows if row)}
        exempt = {own, f"{own}.jws", f"{own}.p7s"}
        for path in sorted((self.members.keys() ^ listed.keys()) - exempt):
            problem = "does not list" if path in self.members else "lists what is not there:"
            msg = f"{self.name} has a RECORD that {problem} {cut(path)} (expected every file once)"
            raise AuditError(msg, hint=_HINT)
        for path, (digest, size) in listed.items():
            if path not in exempt and (
                digest.partition("=")[0] not in _STRONG or size != str(self.members[path].file_size)
            ):
                found = cut(f"{digest} {size}")
                expected = f"sha256=... {self.members[path].file_size}"
                msg = (
                    f"{self.name} records {cut(path)} with another digest or size (found {found}, expected {expected})"
                )
                raise AuditError(msg, hint=_HINT)
        return {path: self._as_sha256(path, digest) for path, (digest, _) in listed.items() if path not in exempt}

    def _as_sha256(self, path: str, digest: str) -> str:
        """The digest of a member in the one algorithm that all of RECORD has; a stronger one is checked here."""
        algorithm = digest.partition("=")[0]
        if algorithm == "sha256":
            return digest
        found, sha256 = hashlib.new(algorithm), hashlib.sha256()
        for block in self.archive.open(self.members[path]):
            found.update(block)
            sha256.update(block)
        if digest != f"{algorithm}={base64.urlsafe_b64encode(found.digest()).rstrip(b'=').decode()}":
            msg = f"{self.name} holds {cut(path)} with another digest than its RECORD says"
            raise AuditError(msg, hint=_HINT)
        return as_recorded(sha256.digest())

    def sha256(self) -> str:
        """Of the file, in hexadecimal."""
        self._file.seek(0)
        return sha256_of(self._file)

    def check_unchanged(self) -> None:
        """Make sure that what was read is one file.

        Raises:
            AuditError: it was written to since it was opened.
        """
        if _state(self._file) != self.state:
            raise _changed(self.name)


def _state(file: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _changed(name: str) -> AuditError:
    return AuditError(f"{name} was changed while it was read", hint="wait until it is complete, and try again")


@contextmanager
def open_wheel(path: Path, state: tuple[int, ...] | None = None) -> Iterator[OpenWheel]:
    """A wheel on disk.

    Args:
        path: of the file.
        state: `OpenWheel.state` of an earlier time, if it has to be the same file.

    Raises:
        AuditError: it is none, a name in it is unsafe, a bound is passed, or it was changed meanwhile.
    """
    if not path.is_file():  # reading a pipe or a device may never end
        problem = "is not a regular file" if path.exists() else "does not exist"
        msg = f"{path.name} {problem} (expected a wheel)"
        raise AuditError(msg, hint=_HINT)
    with path.open("rb") as file:
        wheel = OpenWheel(file, path.name)
        if state not in {None, wheel.state}:
            raise _changed(path.name)
        yield wheel
        wheel.check_unchanged()
