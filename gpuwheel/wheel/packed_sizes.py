"""What the members of a wheel take in its file: from the directory of the archive, without unpacking one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gpuwheel._archives import Archive
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Packed", "packed_members"]


class Packed(NamedTuple):
    """One member, as the directory states it."""

    size: int
    """Bytes that it unpacks to."""
    packed: int
    """Bytes in the file, without its headers."""
    crc: int
    """CRC-32 of what it unpacks to."""


def packed_members(path: Path) -> dict[str, Packed]:
    """Every file of a wheel by name, in the order of the directory.

    Raises:
        AuditError: not a ZIP archive, a name that is unsafe or occurs twice, or a bound is passed.
    """
    with path.open("rb") as raw:
        hint = "download or build the file again"
        archive = Archive(raw, path.name, path.stat().st_size, error=AuditError, hint=hint)
        return {info.filename: Packed(info.file_size, info.compress_size, info.CRC) for info in archive.members}
