"""Archives that say what no tool writes: bytes of a healthy one, changed in place."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.wheels import WheelFile

__all__ = ["patched", "renamed", "with_bytes_behind", "with_bytes_between", "with_comment", "with_end"]

_LOCAL, _CENTRAL, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
# APPNOTE 4.3.7, 4.3.12: field -> (its place before the member, in the directory, its form).
_FIELDS = {
    "flags": (6, 8, "<H"),
    "method": (8, 10, "<H"),
    "date": (12, 14, "<H"),
    "crc": (14, 16, "<I"),
    "packed": (18, 20, "<I"),
    "size": (22, 24, "<I"),
    "attributes": (None, 38, "<I"),
}


def _headers(data: bytes, name: bytes) -> Iterator[tuple[bytes, int]]:
    """`(signature, place)` of both headers of a member."""
    for signature, length in ((_LOCAL, 30), (_CENTRAL, 46)):
        at = data.find(name)
        while at >= 0:
            if data[at - length : at - length + 4] == signature:
                yield signature, at - length
            at = data.find(name, at + 1)


def patched(file: WheelFile, member: str, where: str = "both", **fields: int) -> WheelFile:
    """A wheel in which a member's headers ("both", "local", "central") say something else."""
    data = bytearray(file.data)
    for signature, at in _headers(file.data, member.encode()):
        if where in {"both", "local" if signature == _LOCAL else "central"}:
            for field, value in fields.items():
                local, central, form = _FIELDS[field]
                place = local if signature == _LOCAL else central
                if place is not None:
                    struct.pack_into(form, data, at + place, value)
    return replace(file, data=bytes(data))


def renamed(file: WheelFile, member: str, name: bytes, where: str = "both") -> WheelFile:
    """A wheel in which the headers of a member have another name, of the same length."""
    data = bytearray(file.data)
    for signature, at in _headers(file.data, member.encode()):
        if where in {"both", "local" if signature == _LOCAL else "central"}:
            start = at + (30 if signature == _LOCAL else 46)
            data[start : start + len(name)] = name
    return replace(file, data=bytes(data))


def with_end(file: WheelFile, *, count: int | None = None, offset: int | None = None) -> WheelFile:
    """A wheel whose end of directory says something else."""
    data = bytearray(file.data)
    at = file.data.rindex(_END)
    if count is not None:
        struct.pack_into("<HH", data, at + 8, count, count)
    if offset is not None:
        struct.pack_into("<I", data, at + 16, offset)
    return replace(file, data=bytes(data))


def with_bytes_between(file: WheelFile, extra: bytes) -> WheelFile:
    """A wheel with something between its last member and its directory, as the end says."""
    at = file.data.index(_CENTRAL)
    data = file.data[:at] + extra + file.data[at:]
    return with_end(replace(file, data=data), offset=at + len(extra))


def with_bytes_behind(file: WheelFile, extra: bytes) -> WheelFile:
    """A wheel with something behind its end."""
    return replace(file, data=file.data + extra)


def with_comment(file: WheelFile, comment: bytes) -> WheelFile:
    """A wheel with a comment."""
    return replace(file, data=file.data[:-2] + struct.pack("<H", len(comment)) + comment)
